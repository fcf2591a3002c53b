//! Whether a direction copies or splices. Copying is cheaper for messages, splicing for bulk.

/// So many reads in a row that filled the whole buffer are bulk.
const FULL_READS: u8 = 3;
/// So many splices in a row that moved little are messages again.
const SMALL_SPLICES: u8 = 8;
const SMALL: usize = 16 * 1024;

#[derive(Debug, Default)]
pub(super) struct Pace {
    is_bulk: bool,
    streak: u8,
}

impl Pace {
    pub(super) fn is_bulk(&self) -> bool {
        self.is_bulk
    }

    pub(super) fn copied(&mut self, filled_the_buffer: bool) {
        self.count(filled_the_buffer, FULL_READS);
    }

    pub(super) fn spliced(&mut self, bytes: usize) {
        self.count(bytes < SMALL, SMALL_SPLICES);
    }

    /// There was no pipe: it is asked for again after as much bulk as before.
    pub(super) fn cannot_splice(&mut self) {
        *self = Self::default();
    }

    fn count(&mut self, other: bool, enough: u8) {
        self.streak = if other { self.streak + 1 } else { 0 };
        if self.streak == enough {
            *self = Self { is_bulk: !self.is_bulk, streak: 0 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_full_reads_in_a_row_are_bulk_and_eight_small_splices_messages() {
        let mut pace = Pace::default();
        for filled in [true, true, false, true, true] {
            pace.copied(filled);
        }
        assert!(!pace.is_bulk());
        pace.copied(true);
        assert!(pace.is_bulk());
        for bytes in [1, 1, 1, 1, 1, 1, 1, SMALL, 1, 1, 1, 1, 1, 1, 1] {
            pace.spliced(bytes);
        }
        assert!(pace.is_bulk());
        pace.spliced(SMALL - 1);
        assert!(!pace.is_bulk());
    }

    #[test]
    fn without_a_pipe_it_copies_on() {
        let mut pace = Pace { is_bulk: true, streak: 0 };
        pace.cannot_splice();
        pace.copied(true);
        assert!(!pace.is_bulk());
    }
}
