//! Decisions read from a list of numbers, so that proptest shrinks a query by shrinking the list.

/// Where the list ends, every further decision is the first, simplest one.
pub struct Choices<'a> {
    left: std::slice::Iter<'a, u16>,
}

impl<'a> Choices<'a> {
    pub fn new(numbers: &'a [u16]) -> Self {
        Choices { left: numbers.iter() }
    }

    pub fn below(&mut self, limit: usize) -> usize {
        assert!(0 < limit);
        self.left.next().map_or(0, |number| usize::from(*number) % limit)
    }

    pub fn one_of<'b, T>(&mut self, items: &'b [T]) -> &'b T {
        &items[self.below(items.len())]
    }
}
