//! The pages of a long list.
//!
//! Owns which rows a page has. Callers rely on this: a page after the last one is the last one,
//! because lists become shorter while people look at them.

/// The page of an address that names none.
pub fn first_page() -> i64 {
    1
}

/// Which part of a list is shown, and the links to the others.
pub struct Pager {
    /// How many rows the whole list has.
    pub all: usize,
    /// The first shown row, from 0.
    start: usize,
    /// How many are shown.
    shown: usize,
    pub previous: Option<String>,
    pub next: Option<String>,
}

impl Pager {
    /// The page with this number, from 1, of a list of so many rows.
    pub fn of(all: usize, of_page: u32, page: i64, link: impl Fn(usize) -> String) -> Pager {
        let of_page = usize::try_from(of_page).unwrap_or(usize::MAX).max(1);
        let last = all.div_ceil(of_page).max(1);
        let page = usize::try_from(page.max(1)).unwrap_or(usize::MAX).min(last);
        let start = (page - 1) * of_page;
        Pager {
            all,
            start,
            shown: of_page.min(all - start.min(all)),
            previous: (page > 1).then(|| link(page - 1)),
            next: (page < last).then(|| link(page + 1)),
        }
    }

    /// The rows of this page.
    pub fn of_page<'a, T>(&self, rows: &'a [T]) -> impl Iterator<Item = &'a T> {
        rows.iter().skip(self.start).take(self.shown)
    }

    pub fn has_others(&self) -> bool {
        self.previous.is_some() || self.next.is_some()
    }

    /// The number of the first shown row, from 1.
    pub fn first(&self) -> usize {
        self.start + 1
    }

    /// The number of the last shown row.
    pub fn last(&self) -> usize {
        self.start + self.shown
    }
}

#[cfg(test)]
mod tests {
    use super::Pager;

    fn shown(all: usize, page: i64) -> (usize, usize, Option<String>, Option<String>) {
        let pager = Pager::of(all, 50, page, |page| page.to_string());
        let rows: Vec<usize> = (0..all).collect();
        assert_eq!(
            pager.of_page(&rows).count(),
            pager.last() + 1 - pager.first()
        );
        (pager.first(), pager.last(), pager.previous, pager.next)
    }

    #[test]
    fn each_row_is_on_one_page_and_a_late_page_is_the_last_one() {
        let link = |page: i64| Some(page.to_string());
        assert_eq!(shown(50, 1), (1, 50, None, None));
        assert_eq!(shown(51, 1), (1, 50, None, link(2)));
        assert_eq!(shown(51, 2), (51, 51, link(1), None));
        assert_eq!(shown(120, 2), (51, 100, link(1), link(3)));
        for page in [i64::MIN, 0, 9, i64::MAX] {
            let (first, last, _, _) = shown(120, page);
            assert_eq!((first, last), if page <= 0 { (1, 50) } else { (101, 120) });
        }
        assert_eq!(shown(0, 1), (1, 0, None, None));
    }
}
