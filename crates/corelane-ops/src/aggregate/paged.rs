//! Vectors that grow without moving what they hold.
//!
//! A vector that doubles copies itself: with ten million groups that holds a worker for a
//! hundred milliseconds. Here elements lie in pages of a fixed size, so growing costs a page at
//! most. While one page is enough, which is while it matters, it can be had as a slice.

use std::ops::{Index, IndexMut};

/// Elements of a page, as a power of two. Beyond so many groups the caches decide, and the
/// second look-up of a paged access is lost in them.
const PAGE_BITS: u32 = 14;

/// Elements of a page.
pub const PAGE: usize = 1 << PAGE_BITS;

/// Elements in pages, `width` of them for each index.
#[derive(Clone, Debug)]
pub struct Paged<T> {
    pages: Vec<Vec<T>>,
    len: usize,
}

impl<T> Default for Paged<T> {
    fn default() -> Self {
        Paged { pages: Vec::new(), len: 0 }
    }
}

impl<T> Paged<T> {
    pub fn len(&self) -> usize {
        self.len
    }

    /// The elements, if they lie in one page.
    #[inline]
    pub fn one_page(&mut self) -> Option<&mut [T]> {
        match self.pages.as_mut_slice() {
            [] => Some(&mut []),
            [page] => Some(page),
            _ => None,
        }
    }

    pub fn push(&mut self, element: T) {
        let page = self.len >> PAGE_BITS;
        if page == self.pages.len() {
            // The first page grows as any vector does: most have few elements.
            self.pages.push(if page == 0 { Vec::new() } else { Vec::with_capacity(PAGE) });
        }
        self.pages[page].push(element);
        self.len += 1;
    }

    /// Frees what lies in one page, which must not be asked for again.
    pub fn free_page(&mut self, page: usize) {
        self.pages[page] = Vec::new();
    }

    pub fn clear(&mut self) {
        self.pages.truncate(1);
        self.pages.iter_mut().for_each(Vec::clear);
        self.len = 0;
    }

    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.pages.iter().flatten()
    }

    /// Bytes of the pages.
    pub fn bytes(&self) -> usize {
        self.pages.iter().map(|page| page.capacity() * size_of::<T>()).sum()
    }
}

impl<T: Default> Paged<T> {
    /// Adds empty elements until there are so many. Never shrinks.
    pub fn grow(&mut self, len: usize) {
        while self.len < len {
            let page = self.len >> PAGE_BITS;
            if page == self.pages.len() {
                self.pages.push(if page == 0 { Vec::new() } else { Vec::with_capacity(PAGE) });
            }
            let filled = (len - (page << PAGE_BITS)).min(PAGE);
            self.pages[page].resize_with(filled, T::default);
            self.len = (page << PAGE_BITS) + filled;
        }
    }
}

impl<T> Index<usize> for Paged<T> {
    type Output = T;

    #[inline]
    fn index(&self, index: usize) -> &T {
        &self.pages[index >> PAGE_BITS][index & (PAGE - 1)]
    }
}

impl<T> IndexMut<usize> for Paged<T> {
    #[inline]
    fn index_mut(&mut self, index: usize) -> &mut T {
        &mut self.pages[index >> PAGE_BITS][index & (PAGE - 1)]
    }
}

/// Runs `$body` with `$name` as a slice where `$paged` has one page, else as the pages: the
/// loop is compiled for both.
macro_rules! with_pages {
    ($paged:expr, $name:ident => $body:expr) => {
        match $paged.one_page() {
            Some($name) => $body,
            None => {
                let $name = &mut $paged;
                $body
            }
        }
    };
}

pub(crate) use with_pages;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_keep_their_places_over_pages() {
        let mut paged = Paged::default();
        paged.grow(3);
        (3..PAGE + 5).for_each(|number| paged.push(number));
        assert!(paged.one_page().is_none());
        paged.grow(3 * PAGE + 1);
        paged[2 * PAGE] = 7;
        assert_eq!((paged[2], paged[3], paged[PAGE], paged[PAGE + 4], paged[PAGE + 5]), (0, 3, PAGE, PAGE + 4, 0));
        assert_eq!((paged[2 * PAGE], paged.len(), paged.iter().count()), (7, 3 * PAGE + 1, 3 * PAGE + 1));
        paged.clear();
        assert_eq!(paged.one_page(), Some(&mut [][..]));
    }
}
