//! CSV as RFC 4180 has it: commas, cells in quotes where they need to be, names in the first line. Line ends may be
//! those of either world, and empty lines are passed over.

use super::{picked, refused};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use tidegate_core::Fault;
use tidegate_core::port::table::{Cell, Table};

/// The longest row, in bytes.
const LONGEST_ROW: usize = 16 << 20;

/// A table in a CSV file.
#[derive(Debug)]
pub(super) struct CsvTable {
    path: PathBuf,
    /// How many cells each row has.
    width: usize,
    /// Where in a row the columns are.
    places: Vec<usize>,
    names: Vec<String>,
}

impl CsvTable {
    pub(super) fn open(path: &Path, except: &[String]) -> Result<Self, Fault> {
        let mut records = Records::open(path)?;
        if !records.advance()? {
            return Err(refused(format!("{} is empty: its first line names the columns", path.display())));
        }
        let all = (0..records.width()).map(|at| records.cell(at).map(str::to_owned)).collect::<Result<Vec<_>, _>>()?;
        if let [only] = &all[..]
            && only.contains([';', '\t'])
        {
            let says = "its first line has no comma, but semicolons or tabs: write it with commas between the cells";
            return Err(refused(format!("{}: {says}", path.display())));
        }
        let (places, names) = picked(&all, except)?.into_iter().unzip();
        Ok(Self { path: path.to_owned(), width: all.len(), places, names })
    }
}

impl Table for CsvTable {
    fn columns(&self) -> &[String] {
        &self.names
    }

    fn each(&self, row: &mut dyn FnMut(&[Cell<'_>]) -> Result<(), Fault>) -> Result<(), Fault> {
        let mut records = Records::open(&self.path)?;
        records.advance()?;
        while records.advance()? {
            if records.width() != self.width {
                let (line, found, wanted) = (records.line, records.width(), self.width);
                return Err(refused(format!(
                    "the row that ends in line {line} has {found} cells, and {wanted} columns are named"
                )));
            }
            let cells =
                self.places.iter().map(|at| records.cell(*at).map(Cell::Text)).collect::<Result<Vec<_>, _>>()?;
            row(&cells)?;
        }
        Ok(())
    }
}

/// Where in a cell the reader is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Start,
    Plain,
    Quoted,
    /// Behind a quote within a quoted cell: its end, or the first half of a doubled one.
    Quote,
}

/// What a byte led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Go,
    /// The row is complete.
    Row,
}

/// The rows of a file, one at a time.
#[derive(Debug)]
struct Records<R> {
    input: R,
    /// The cells of the row, one behind the other.
    text: Vec<u8>,
    ends: Vec<usize>,
    at: At,
    has_quotes: bool,
    line: u64,
}

impl Records<BufReader<File>> {
    fn open(path: &Path) -> Result<Self, Fault> {
        let file = File::open(path).map_err(|e| refused(format!("{} cannot be read: {e}", path.display())))?;
        Records::new(BufReader::with_capacity(1 << 16, file))
    }
}

impl<R: BufRead> Records<R> {
    fn new(mut input: R) -> Result<Self, Fault> {
        // The mark that some programs write before UTF-8.
        if input.fill_buf().map_err(|e| lost(&e))?.starts_with(b"\xEF\xBB\xBF") {
            input.consume(3);
        }
        Ok(Self { input, text: Vec::new(), ends: Vec::new(), at: At::Start, has_quotes: false, line: 1 })
    }

    /// Goes to the next row; false at the end of the file.
    fn advance(&mut self) -> Result<bool, Fault> {
        loop {
            if !self.read_row()? {
                return Ok(false);
            }
            // An empty line is no row; a cell of quotes alone is one.
            if self.ends.len() > 1 || !self.text.is_empty() || self.has_quotes {
                return Ok(true);
            }
        }
    }

    fn read_row(&mut self) -> Result<bool, Fault> {
        self.text.clear();
        self.ends.clear();
        (self.at, self.has_quotes) = (At::Start, false);
        loop {
            let bytes = self.input.fill_buf().map_err(|e| lost(&e))?;
            if bytes.is_empty() {
                return self.end();
            }
            let (mut used, mut step) = (0, Step::Go);
            // Taken out, so that the borrow of what was read does not forbid writing.
            let mut row = Row { text: &mut self.text, ends: &mut self.ends, at: self.at, has_quotes: self.has_quotes };
            for byte in bytes {
                used += 1;
                self.line += u64::from(*byte == b'\n');
                step = row.feed(*byte).map_err(|says| refused(format!("line {}: {says}", self.line)))?;
                if step == Step::Row {
                    break;
                }
            }
            (self.at, self.has_quotes) = (row.at, row.has_quotes);
            self.input.consume(used);
            if step == Step::Row {
                return Ok(true);
            }
            if self.text.len() > LONGEST_ROW {
                return Err(refused(format!("the row at line {} is longer than {LONGEST_ROW} bytes", self.line)));
            }
        }
    }

    /// The end of the file, where the last row may want its line's end.
    fn end(&mut self) -> Result<bool, Fault> {
        match self.at {
            At::Quoted => Err(refused("the file ends within quotes: one of them has no end".to_owned())),
            At::Start if self.ends.is_empty() => Ok(false),
            _ => {
                self.ends.push(self.text.len());
                Ok(true)
            }
        }
    }

    fn width(&self) -> usize {
        self.ends.len()
    }

    fn cell(&self, at: usize) -> Result<&str, Fault> {
        let from = at.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        let bytes = self.ends.get(at).and_then(|to| self.text.get(from..*to)).unwrap_or_default();
        std::str::from_utf8(bytes).map_err(|_| {
            refused(format!("the row that ends in line {} is not valid UTF-8: convert the file", self.line))
        })
    }
}

/// A row under construction.
struct Row<'a> {
    text: &'a mut Vec<u8>,
    ends: &'a mut Vec<usize>,
    at: At,
    has_quotes: bool,
}

impl Row<'_> {
    fn feed(&mut self, byte: u8) -> Result<Step, &'static str> {
        match (self.at, byte) {
            (At::Start, b'"') => (self.at, self.has_quotes) = (At::Quoted, true),
            (At::Quoted, b'"') => self.at = At::Quote,
            (At::Quote, b'"') => {
                self.text.push(byte);
                self.at = At::Quoted;
            }
            (At::Quoted, _) => self.text.push(byte),
            (_, b',') => self.end_cell(),
            (_, b'\n') => {
                let from = self.ends.last().copied().unwrap_or(0);
                if self.at == At::Plain && self.text.len() > from && self.text.last() == Some(&b'\r') {
                    self.text.pop();
                }
                self.end_cell();
                return Ok(Step::Row);
            }
            (At::Quote, b'\r') => {}
            (At::Quote, _) => return Err("behind a cell in quotes comes neither a comma nor the line's end"),
            (At::Start | At::Plain, _) => {
                self.text.push(byte);
                self.at = At::Plain;
            }
        }
        Ok(Step::Go)
    }

    fn end_cell(&mut self) {
        self.ends.push(self.text.len());
        self.at = At::Start;
    }
}

fn lost(e: &std::io::Error) -> Fault {
    refused(format!("the file cannot be read to its end: {e}"))
}
