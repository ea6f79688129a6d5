//! The names of all tokens in one text: fifty thousand texts of their own would take three times the memory.

/// Texts by their number.
pub(super) struct Names {
    text: String,
    /// Where each ends.
    ends: Vec<usize>,
}

impl Names {
    pub(super) fn of(names: &[String]) -> Self {
        let mut all = Self { text: names.concat(), ends: Vec::with_capacity(names.len()) };
        let mut end = 0;
        for name in names {
            end += name.len();
            all.ends.push(end);
        }
        all
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn get(&self, number: usize) -> Option<&str> {
        let end = *self.ends.get(number)?;
        let start = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.text.get(start..end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_is_what_it_was() {
        let names = ["", "a", "", "\u{e4}\u{f6}", "<s>"].map(str::to_owned);
        let all = Names::of(&names);
        assert_eq!(all.len(), 5);
        assert!(names.iter().enumerate().all(|(i, name)| all.get(i) == Some(name)) && all.get(5).is_none());
    }
}
