//! "Did you mean …?": the nearest known name, if one is near.

/// Longer names are not compared: the table is quadratic, and a typo in them is no easier to see.
const NAME_CHARS_MAX: usize = 64;

/// The hint for an unknown `name`, or an empty string.
pub(crate) fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    match closest(name, known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => String::new(),
    }
}

/// The known name within a third of the length of `name` in edits, the nearest, then the first by name.
fn closest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = |text: &str| -> Vec<char> { text.chars().flat_map(char::to_lowercase).collect() };
    if name.len() > 4 * NAME_CHARS_MAX {
        return None;
    }
    let wanted = lower(name);
    if wanted.len() > NAME_CHARS_MAX {
        return None;
    }
    let allowed = (wanted.len() / 3).clamp(1, 3);
    let mut best: Option<(usize, &str)> = None;
    for candidate in known {
        // A character is one to four bytes: a cheap way past most candidates.
        if candidate.len() > 4 * (wanted.len() + allowed) {
            continue;
        }
        let Some(far) = distance(&wanted, &lower(candidate), allowed) else {
            continue;
        };
        // Ties go to the first by name: the candidates may come in any order.
        if best.is_none_or(|least| (far, candidate) < least) {
            best = Some((far, candidate));
        }
    }
    best.map(|(_, near)| near)
}

/// Edits (insert, delete, replace, swap of neighbours) between two words, if at most `allowed`. Only the
/// band of the table within `allowed` of its diagonal is worked out: nothing outside can lead to an answer.
fn distance(a: &[char], b: &[char], allowed: usize) -> Option<usize> {
    if a.len().abs_diff(b.len()) > allowed {
        return None;
    }
    let outside = allowed + 1;
    let mut before = vec![outside; b.len() + 1];
    let mut above: Vec<usize> = (0..=b.len()).collect();
    let mut row = vec![outside; b.len() + 1];
    for i in 1..=a.len() {
        let first = i.saturating_sub(allowed).max(1);
        let last = (i + allowed).min(b.len());
        row[first - 1] = if first == 1 { i } else { outside };
        for j in first..=last {
            let replace = above[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let up = if j < i + allowed { above[j] } else { outside };
            let mut least = replace.min(up + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(before[j - 2] + 1);
            }
            row[j] = least;
        }
        std::mem::swap(&mut before, &mut above);
        std::mem::swap(&mut above, &mut row);
    }
    Some(above[b.len()]).filter(|far| *far <= allowed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The whole table, by its definition.
    fn model(a: &[char], b: &[char]) -> usize {
        let mut table = vec![vec![0; b.len() + 1]; a.len() + 1];
        for i in 0..=a.len() {
            for j in 0..=b.len() {
                table[i][j] = match (i, j) {
                    (0, n) | (n, 0) => n,
                    _ => {
                        let replace = table[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                        replace.min(table[i - 1][j] + 1).min(table[i][j - 1] + 1)
                    }
                };
                if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    table[i][j] = table[i][j].min(table[i - 2][j - 2] + 1);
                }
            }
        }
        table[a.len()][b.len()]
    }

    proptest! {
        #[test]
        fn the_band_agrees_with_the_whole_table(
            a in "[ab]{0,9}", b in "[ab]{0,9}", allowed in 1usize..=3,
        ) {
            let (a, b): (Vec<_>, Vec<_>) = (a.chars().collect(), b.chars().collect());
            let far = model(&a, &b);
            prop_assert_eq!(distance(&a, &b, allowed), (far <= allowed).then_some(far));
        }
    }

    #[test]
    fn the_nearest_name_wins() {
        assert_eq!(closest("exprot", ["import", "export"]), Some("export"));
        assert_eq!(closest("Seats", ["seat", "seats"]), Some("seats"));
        assert_eq!(closest("api_cals", ["api_calls"]), Some("api_calls"));
        assert_eq!(closest("zzz", ["export"]), None);
        assert_eq!(closest("", ["a"]), Some("a"));
        assert_eq!(closest(&"x".repeat(65), ["x"]), None);
        assert_eq!(did_you_mean("polls", ["pools"]), "did you mean `pools`?");
        assert_eq!(did_you_mean("nothing", ["pools"]), "");
    }
}
