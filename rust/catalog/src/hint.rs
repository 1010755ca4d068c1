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
    let wanted: Vec<char> = name.chars().take(NAME_CHARS_MAX + 1).collect();
    if wanted.len() > NAME_CHARS_MAX {
        return None;
    }
    let allowed = (wanted.len() / 3).clamp(1, 3);
    let mut best: Option<(usize, &str)> = None;
    for candidate in known {
        // Bytes are at least characters, and at most four for each: a cheap way past most candidates.
        if candidate.len() > 4 * (wanted.len() + allowed) {
            continue;
        }
        let other: Vec<char> = candidate.chars().collect();
        if other.len().abs_diff(wanted.len()) > allowed {
            continue;
        }
        let far = distance(&wanted, &other);
        // Ties go to the first by name: the candidates may come in any order.
        if far <= allowed && best.is_none_or(|least| (far, candidate) < least) {
            best = Some((far, candidate));
        }
    }
    best.map(|(_, near)| near)
}

/// Edits (insert, delete, replace, swap of neighbours) between two words, case aside.
fn distance(a: &[char], b: &[char]) -> usize {
    let same = |x: char, y: char| x.to_lowercase().eq(y.to_lowercase());
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replace = above[j - 1] + usize::from(!same(a[i - 1], b[j - 1]));
            row[j] = replace.min(above[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1]) {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

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
