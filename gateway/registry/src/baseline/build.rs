//! A table to its baseline, in two passes: the first tells numeric columns from others, the second gathers. Owns what a
//! cell means and how much memory it may take; bins and sample are their own files'.

use super::sample::Reservoir;
use super::{
    Baseline, Categorical, Category, Column, LARGEST_NUMBER, LONGEST_TEXT, MOST_CATEGORIES, MOST_COLUMNS, Profile,
    Sampled, bins, check, most_sampled,
};
use crate::fault::{RegistryFault, RegistryFaultKind};
use std::collections::{BTreeSet, HashMap};
use tidegate_core::port::table::{Cell, Table};
use tidegate_core::{Dice, Fault, FaultKind};

/// A column of whole numbers with more different ones than this is numeric.
const FEW: usize = 20;
/// Different categories counted one by one; those that turn up later count as others.
const MOST_COUNTED: usize = 100_000;

/// What a table may have at most.
#[derive(Debug, Clone, Copy)]
pub(super) struct Most {
    pub(super) rows: u64,
    /// Of what is gathered: 8 bytes a number, 64 and its length a category.
    pub(super) bytes: u64,
}

impl Default for Most {
    fn default() -> Self {
        Self { rows: 100_000_000, bytes: 1 << 30 }
    }
}

impl Baseline {
    /// The profile of `table`; `dice` chooses its sample.
    ///
    /// # Errors
    /// The table cannot be read, is empty or larger than what is taken: 4,096 columns, 100 million rows, and 1 GiB of
    /// what the profile is reckoned from.
    pub fn build(table: &dyn Table, dice: &dyn Dice) -> Result<Self, RegistryFault> {
        Self::build_within(table, dice, Most::default())
    }

    pub(super) fn build_within(table: &dyn Table, dice: &dyn Dice, most: Most) -> Result<Self, RegistryFault> {
        let names = table.columns();
        check::names(names.iter().map(String::as_str))?;
        let mut kinds: Vec<Kind> = names.iter().map(|_| Kind::default()).collect();
        let mut rows = 0u64;
        read(table, &mut |cells| {
            rows += 1;
            if rows > most.rows {
                return Err(too_much(&format!("more than {} rows", most.rows)));
            }
            kinds.iter_mut().zip(cells).for_each(|(kind, cell)| kind.see(Meaning::of(*cell)));
            Ok(())
        })?;
        if rows == 0 {
            return Err(RegistryFault::invalid("the table has no rows: there is nothing to take a profile of"));
        }
        let mut gathered: Vec<Gathered> = kinds.iter().map(Gathered::of).collect();
        let mut sample = Reservoir::new(most_sampled(names.len()), dice);
        let (mut bytes, mut again) = (0u64, 0u64);
        read(table, &mut |cells| {
            again += 1;
            for (gathered, cell) in gathered.iter_mut().zip(cells) {
                bytes += gathered.take(Meaning::of(*cell))?;
            }
            if bytes > most.bytes {
                return Err(too_much(&format!("numbers and categories of more than {} MiB", most.bytes >> 20)));
            }
            sample.offer(|| gathered.iter().zip(cells).map(|(kind, cell)| kind.sampled(Meaning::of(*cell))).collect());
            Ok(())
        })?;
        if again != rows {
            return Err(RegistryFault::invalid(CHANGED));
        }
        let columns = names.iter().zip(gathered).map(|(name, gathered)| gathered.finish(name.clone(), rows)).collect();
        Ok(Self { rows, columns, sample: sample.chosen() })
    }
}

const CHANGED: &str = "the table changed while it was read: take its profile when nobody writes it";

fn too_much(what: &str) -> Fault {
    Fault::new(FaultKind::InvalidRequest, format!("the table has {what}: take a random part of its rows"))
}

/// Reads the table; whatever is wrong with it is the caller's to mend.
fn read(table: &dyn Table, row: &mut dyn FnMut(&[Cell<'_>]) -> Result<(), Fault>) -> Result<(), RegistryFault> {
    table.each(row).map_err(|fault| RegistryFault::new(RegistryFaultKind::Invalid, fault.says))
}

/// What a cell means.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Meaning<'a> {
    Missing,
    /// A number, and how the file spells it where it does.
    Number(f64, Option<&'a str>),
    Text(&'a str),
}

impl<'a> Meaning<'a> {
    fn of(cell: Cell<'a>) -> Self {
        // Adding zero makes one zero of the two.
        let number = |x: f64, text| {
            if x.is_finite() && x.abs() <= LARGEST_NUMBER { Self::Number(x + 0.0, text) } else { Self::Missing }
        };
        match cell {
            Cell::Missing => Self::Missing,
            Cell::Number(x) => number(x, None),
            Cell::Text(text) => match text.trim() {
                "" => Self::Missing,
                trimmed => trimmed.parse().map_or(Self::Text(text), |x| number(x, Some(text))),
            },
        }
    }
}

/// What is known of a column after the first pass.
#[derive(Debug, Default)]
struct Kind {
    has_texts: bool,
    has_fractions: bool,
    /// Different numbers by their bits, up to one more than a few.
    different: BTreeSet<u64>,
}

impl Kind {
    fn see(&mut self, cell: Meaning<'_>) {
        match cell {
            Meaning::Missing => {}
            Meaning::Text(_) => self.has_texts = true,
            Meaning::Number(x, _) => {
                self.has_fractions |= x.fract() != 0.0;
                if self.different.len() <= FEW {
                    self.different.insert(x.to_bits());
                }
            }
        }
    }

    fn is_numeric(&self) -> bool {
        !self.has_texts && (self.has_fractions || self.different.len() > FEW)
    }
}

/// What the second pass gathers of a column.
#[derive(Debug)]
enum Gathered {
    Numbers(Vec<f64>),
    Categories {
        /// Whether each is a number, and so spelled in one way.
        are_numbers: bool,
        counts: HashMap<String, u64>,
        other: u64,
    },
}

impl Gathered {
    fn of(kind: &Kind) -> Self {
        if kind.is_numeric() {
            return Self::Numbers(Vec::new());
        }
        Self::Categories { are_numbers: !kind.has_texts, counts: HashMap::new(), other: 0 }
    }

    /// Takes a cell; tells how many bytes it needed.
    fn take(&mut self, cell: Meaning<'_>) -> Result<u64, Fault> {
        match (self, cell) {
            (_, Meaning::Missing) => Ok(0),
            (Self::Numbers(numbers), Meaning::Number(x, _)) => {
                numbers.push(x);
                Ok(8)
            }
            (Self::Numbers(_), Meaning::Text(_)) => Err(Fault::new(FaultKind::InvalidRequest, CHANGED)),
            (Self::Categories { are_numbers, counts, other }, cell) => {
                let value = spelled(cell, *are_numbers);
                if let Some(count) = counts.get_mut(&value) {
                    *count += 1;
                    return Ok(0);
                }
                if value.len() > LONGEST_TEXT || counts.len() >= MOST_COUNTED {
                    *other += 1;
                    return Ok(0);
                }
                let bytes = 64 + value.len() as u64;
                counts.insert(value, 1);
                Ok(bytes)
            }
        }
    }

    fn sampled(&self, cell: Meaning<'_>) -> Sampled {
        match (self, cell) {
            (_, Meaning::Missing) => Sampled::Missing,
            (Self::Numbers(_), Meaning::Number(x, _)) => Sampled::Number(x),
            (Self::Numbers(_), Meaning::Text(_)) => Sampled::Missing,
            (Self::Categories { are_numbers, .. }, cell) => {
                let mut text = spelled(cell, *are_numbers);
                text.truncate(text.floor_char_boundary(LONGEST_TEXT));
                Sampled::Text(text)
            }
        }
    }

    fn finish(self, name: String, rows: u64) -> Column {
        match self {
            Self::Numbers(mut numbers) => {
                numbers.sort_unstable_by(f64::total_cmp);
                let count = numbers.len() as u64;
                // A numeric column has numbers; else it is one without categories.
                let profile = bins::profile(&numbers).map_or_else(
                    || Profile::Categorical(Categorical { categories: Vec::new(), other: 0 }),
                    Profile::Numeric,
                );
                Column { name, count, missing: rows.saturating_sub(count), profile }
            }
            Self::Categories { counts, other, .. } => {
                let count = counts.values().sum::<u64>() + other;
                let mut categories: Vec<Category> =
                    counts.into_iter().map(|(value, count)| Category { value, count }).collect();
                categories.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.value.cmp(&b.value)));
                let rare: u64 = categories.iter().skip(MOST_CATEGORIES).map(|category| category.count).sum();
                categories.truncate(MOST_CATEGORIES);
                let profile = Profile::Categorical(Categorical { categories, other: other + rare });
                Column { name, count, missing: rows.saturating_sub(count), profile }
            }
        }
    }
}

/// How a category is called: numbers in one way, however the file spells them.
fn spelled(cell: Meaning<'_>, are_numbers: bool) -> String {
    match cell {
        Meaning::Missing => String::new(),
        Meaning::Text(text) => text.to_owned(),
        Meaning::Number(_, Some(text)) if !are_numbers => text.to_owned(),
        Meaning::Number(x, _) => x.to_string(),
    }
}

const _: () = assert!(MOST_COLUMNS <= super::MOST_CELLS, "each sample has a row");
