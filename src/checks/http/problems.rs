//! What is wrong with a section, collected while it is read.

use crate::{check::Params, node::Problem};

/// The section, and what was found to be wrong with it so far.
pub(super) struct Problems<'a> {
    pub(super) params: Params<'a>,
    list: Vec<Problem>,
}

impl<'a> Problems<'a> {
    pub(super) fn new(params: Params<'a>) -> Self {
        Self { params, list: Vec::new() }
    }

    /// How many there are so far.
    pub(super) fn count(&self) -> usize {
        self.list.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The value at this key is wrong.
    pub(super) fn add(&mut self, key: &str, message: impl Into<String>) {
        self.list.push(self.params.problem(key, message));
    }

    /// The value made of that at this key.
    pub(super) fn value<T>(&mut self, key: &str, made: Result<T, String>) -> Option<T> {
        made.map_err(|message| self.add(key, message)).ok()
    }

    /// All of them in the order of the file.
    pub(super) fn sorted(mut self) -> Vec<Problem> {
        let position =
            |problem: &Problem| problem.place.as_ref().map(|place| (place.line, place.column));
        self.list.sort_by_key(position);
        self.list
    }

    /// What was made, or its problems.
    pub(super) fn take<T>(&mut self, made: Result<T, Vec<Problem>>) -> Option<T> {
        made.map_err(|problems| self.list.extend(problems)).ok()
    }
}
