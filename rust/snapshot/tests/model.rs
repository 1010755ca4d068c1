//! Random changes, compactions, transfers and crashes, against a list of every state that ever was.

use fastcheck_snapshot::Checkpoint;
use proptest::prelude::*;
use tempfile::tempdir;

mod support;
use support::*;

#[derive(Clone, Debug)]
enum Step {
    /// (number, version; zero deletes)
    Change(Vec<(u32, u32)>),
    Catalog(u8),
    Retract,
    Compact,
    Transfer(Vec<u32>),
    Reopen,
}

/// What happens to one file at the end: which, where, and how.
#[derive(Clone, Debug)]
enum Harm {
    Nothing,
    Cut(prop::sample::Index, prop::sample::Index),
    Flip(prop::sample::Index, prop::sample::Index, u8),
    Remove(prop::sample::Index),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => prop::collection::vec((1u32..9, 0u32..5), 0..4).prop_map(Step::Change),
        1 => any::<u8>().prop_map(Step::Catalog),
        1 => Just(Step::Compact),
        1 => Just(Step::Retract),
        1 => prop::collection::vec(1u32..9, 0..5).prop_map(Step::Transfer),
        1 => Just(Step::Reopen),
    ]
}

fn harm() -> impl Strategy<Value = Harm> {
    use prop::sample::Index;
    prop_oneof![
        1 => Just(Harm::Nothing),
        3 => any::<(Index, Index)>().prop_map(|(f, at)| Harm::Cut(f, at)),
        3 => (any::<(Index, Index)>(), 0u8..8).prop_map(|((f, at), bit)| Harm::Flip(f, at, bit)),
        1 => any::<Index>().prop_map(Harm::Remove),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    #[test]
    fn what_is_recovered_once_was(steps in prop::collection::vec(step(), 0..25), harm in harm()) {
        let dir = tempdir().unwrap();
        let mut now = State {
            at: mark(1, &Customers::new()),
            catalog: catalog("base"),
            customers: Customers::new(),
        };
        let mut running = checkpoint(dir.path(), 1, &now.customers);
        let mut states = vec![now.clone()];
        let mut next = None;
        let mut former = None;
        for step in steps {
            match step {
                Step::Change(changes) => {
                    let mut records = Vec::new();
                    let before = now.customers.clone();
                    for (number, version) in changes {
                        let deleted = version == 0;
                        let bytes = record(number, deleted, version, None);
                        records.extend_from_slice(&bytes);
                        if deleted {
                            now.customers.remove(&number);
                        } else {
                            now.customers.insert(number, bytes);
                        }
                    }
                    former = Some(State { customers: before, ..now.clone() });
                    now.at = mark(now.at.seq + 1, &now.customers);
                    running.append(&records, now.at).unwrap();
                    now.catalog = next.take().unwrap_or(now.catalog);
                    states.push(now.clone());
                }
                Step::Catalog(n) => {
                    let text = catalog(&"c".repeat(n.into()));
                    running.append_catalog(text.clone()).unwrap();
                    next = Some(text);
                }
                Step::Compact => {
                    running.compact().unwrap();
                    former = None;
                }
                Step::Retract => match former.take() {
                    Some(before) => {
                        running.retract().unwrap();
                        now = before;
                    }
                    None => prop_assert!(running.retract().is_err()),
                },
                Step::Transfer(numbers) => {
                    now.customers = customers(numbers, 1);
                    now.catalog = catalog("transferred");
                    let (at, bytes) = file(now.at.seq + 3, &now.customers, &now.catalog);
                    receive(&running, &bytes).unwrap();
                    running.complete(at).unwrap();
                    now.at = at;
                    (next, former) = (None, None);
                    states.push(now.clone());
                }
                Step::Reopen => {
                    running = Checkpoint::open(dir.path()).unwrap();
                    let (at, text) = running.recover().unwrap().unwrap();
                    prop_assert_eq!((at, &text), (now.at, &now.catalog));
                    (next, former) = (None, None);
                }
            }
            prop_assert_eq!(&all(&running.view().unwrap()).unwrap(), &now.customers);
        }
        drop(running);
        let files = names(dir.path());
        let harmed = !matches!(harm, Harm::Nothing);
        match harm {
            Harm::Nothing => {}
            Harm::Cut(file, at) => {
                let path = dir.path().join(&files[file.index(files.len())]);
                let bytes = std::fs::read(&path).unwrap();
                std::fs::write(&path, &bytes[..at.index(bytes.len())]).unwrap();
            }
            Harm::Flip(file, at, bit) => {
                let path = dir.path().join(&files[file.index(files.len())]);
                let mut bytes = std::fs::read(&path).unwrap();
                let at = at.index(bytes.len());
                bytes[at] ^= 1 << bit;
                std::fs::write(&path, &bytes).unwrap();
            }
            Harm::Remove(file) => {
                std::fs::remove_file(dir.path().join(&files[file.index(files.len())])).unwrap();
            }
        }
        match recovered(dir.path()) {
            Some(found) if harmed => prop_assert!(states.contains(&found), "{found:?} never was"),
            Some(found) => prop_assert_eq!(found, now),
            // With one generation, its base can be the one that is harmed.
            None => prop_assert!(harmed && files.len() <= 2),
        }
    }

    /// A log of arbitrary bytes and blocks is read to where it makes no sense, and no further.
    #[test]
    fn an_arbitrary_log_adds_nothing(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let dir = tempdir().unwrap();
        let here = customers(1..=2, 1);
        checkpoint(dir.path(), 1, &here);
        let log = dir.path().join("log-1");
        let whole = std::fs::read(&log).unwrap();
        std::fs::write(&log, [&whole[..], &bytes].concat()).unwrap();
        prop_assert_eq!(recovered(dir.path()).unwrap().customers, here.clone());
        std::fs::write(&log, &bytes).unwrap();
        prop_assert_eq!(recovered(dir.path()).unwrap().customers, here);
    }
}
