//! What happens to nodes, lines and sticks.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use super::{CITY, Dice, LINES, NODES, OFFICE, Shared};
use crate::city::Network;

/// Sticks that lie about and may be read again, late.
const PILE: usize = 12;

/// How long a node that is to be put back may take until its neighbours have all it holds; else it is left for later.
const HANDED_ON: Duration = Duration::from_secs(45);

pub(super) struct Troubles {
    dice: Dice,
    sticks: PathBuf,
    made: u64,
    pile: Vec<PathBuf>,
    cut: Vec<(&'static str, &'static str)>,
    backups: BTreeMap<&'static str, PathBuf>,
    /// What happened, and how often.
    counts: BTreeMap<&'static str, u64>,
}

impl Troubles {
    pub(super) fn new(dice: Dice, sticks: &Path) -> Troubles {
        let (pile, cut) = (Vec::new(), Vec::new());
        let (backups, counts) = (BTreeMap::new(), BTreeMap::new());
        Troubles { dice, sticks: sticks.to_owned(), made: 0, pile, cut, backups, counts }
    }

    /// Everything that happened so far, counted.
    pub(super) fn told(&self) -> String {
        let counted: Vec<String> = self.counts.iter().map(|(what, n)| format!("{n} {what}")).collect();
        counted.join(", ")
    }

    fn note(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    /// One trouble, and a rest.
    pub(super) fn next(&mut self, network: &mut Network, shared: &Shared) {
        match self.dice.below(100) {
            ..20 => self.cut(network),
            20..45 => self.heal(network),
            45..60 => self.kill(network),
            60..66 => {
                let node = self.node();
                self.note("stops");
                network.stop(node);
                network.start(node);
            }
            66..86 => self.stick(network),
            86..93 => self.back_up(network),
            _ => self.put_back(network, shared),
        }
        std::thread::sleep(Duration::from_millis(self.dice.below(2_000)));
    }

    fn node(&mut self) -> &'static str {
        NODES[self.dice.below(NODES.len() as u64) as usize]
    }

    fn cut(&mut self, network: &mut Network) {
        let up: Vec<_> = LINES.iter().filter(|line| !self.cut.contains(line)).copied().collect();
        // Some line is always up.
        if up.len() > 2
            && let Some((a, b)) = self.dice.one_of(&up).copied()
        {
            network.cut(a, b);
            self.cut.push((a, b));
            self.note("cuts");
        }
    }

    fn heal(&mut self, network: &mut Network) {
        if self.cut.is_empty() {
            return;
        }
        let at = self.dice.below(self.cut.len() as u64) as usize;
        let (a, b) = self.cut.swap_remove(at);
        network.heal(a, b);
        self.note("heals");
    }

    fn kill(&mut self, network: &mut Network) {
        let node = self.node();
        network.kill(node);
        self.note("kills");
        std::thread::sleep(Duration::from_millis(self.dice.below(1_500)));
        network.start(node);
    }

    /// A new stick.
    fn empty_stick(&mut self) -> PathBuf {
        self.made += 1;
        let stick = self.sticks.join(format!("{}", self.made));
        fs::create_dir_all(&stick).expect("a directory");
        stick
    }

    /// A stick from one end to the other: lost, torn, late, twice, or as it should be.
    fn stick(&mut self, network: &mut Network) {
        let (from, to) = if self.dice.hits(50) { (OFFICE, CITY) } else { (CITY, OFFICE) };
        let stick = self.empty_stick();
        let path = stick.to_str().expect("a plain path").to_owned();
        // The city learns of the office by its first bundle: until then it has nothing to seal to.
        if network.run(from, &["bundle", "export", "--to", to, "--out", &path]).code != Some(0) {
            self.note("sticks that could not be written");
            return;
        }
        match self.dice.below(10) {
            0 => self.note("sticks lost"),
            1 | 2 => {
                self.tear(&stick);
                self.note("sticks torn");
                network.run(to, &["bundle", "import", &path]);
            }
            3 => {
                // It comes some day, if at all.
                self.note("sticks laid aside");
                self.pile.push(stick);
                if self.pile.len() > PILE {
                    self.pile.remove(0);
                }
            }
            4 => {
                if let Some(old) = self.dice.one_of(&self.pile).cloned() {
                    self.note("old sticks read");
                    network.run(to, &["bundle", "import", old.to_str().expect("a plain path")]);
                }
                network.run(to, &["bundle", "import", &path]);
            }
            _ => {
                self.note("sticks");
                network.run(to, &["bundle", "import", &path]);
            }
        }
    }

    /// Cuts every file somewhere, or turns a bit of it.
    fn tear(&mut self, stick: &Path) {
        for entry in fs::read_dir(stick).expect("a stick").flatten() {
            let mut bytes = fs::read(entry.path()).expect("a file");
            let at = self.dice.below(bytes.len() as u64) as usize;
            match self.dice.hits(50) {
                true => bytes.truncate(at),
                false => bytes[at] ^= 1 << self.dice.below(8),
            }
            fs::write(entry.path(), bytes).expect("a file");
        }
    }

    fn back_up(&mut self, network: &mut Network) {
        let node = self.node();
        let dest = self.empty_stick();
        let said = network.run(node, &["backup", dest.to_str().expect("a plain path")]);
        assert_eq!(said.code, Some(0), "the backup of {node}: {said}");
        if let Some(old) = self.backups.insert(node, dest) {
            let _ = fs::remove_dir_all(old);
        }
        self.note("backups");
    }

    /// A node is put back from its last backup, when everything that it acknowledged since is with its neighbours: what
    /// nobody else ever got is lost with a disk, and that is no fault.
    fn put_back(&mut self, network: &mut Network, shared: &Shared) {
        let nodes: Vec<&'static str> = self.backups.keys().filter(|n| **n != OFFICE).copied().collect();
        let Some(node) = self.dice.one_of(&nodes).copied() else { return };
        shared.resting.lock().unwrap_or_else(PoisonError::into_inner).insert(node);
        let began = Instant::now();
        let is_resting = || shared.rests.lock().unwrap_or_else(PoisonError::into_inner).contains(node);
        let mut handed_on = false;
        for (a, b) in std::mem::take(&mut self.cut) {
            match a == node || b == node {
                true => network.heal(a, b),
                false => self.cut.push((a, b)),
            }
        }
        while !handed_on && began.elapsed() < HANDED_ON {
            std::thread::sleep(Duration::from_millis(20));
            handed_on = is_resting() && network.unproved(node).is_empty();
        }
        if handed_on && let Some(backup) = self.backups.remove(node) {
            network.kill(node);
            let dir = network.at(node);
            let broken = dir.with_extension(format!("broken-{}", self.made));
            fs::rename(&dir, &broken).expect("the directory is moved away");
            let said = network.run(node, &["restore", backup.to_str().expect("a plain path")]);
            assert_eq!(said.code, Some(0), "{node} is put back: {said}");
            let _ = fs::remove_dir_all(broken);
            network.start(node);
            self.note("backups put back");
        } else {
            self.note("backups not put back: its neighbours did not have all");
        }
        shared.resting.lock().unwrap_or_else(PoisonError::into_inner).remove(node);
    }
}
