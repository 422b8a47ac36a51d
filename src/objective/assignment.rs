//! The assignment problem: each row takes a column of its own, at the least cost together.

/// The column of each row, of which each is taken once, for which the sum of costs is least: exact
/// minibatch optimal transport between as many states on either side. `costs` has a row for each row,
/// one after another.
///
/// Shortest augmenting paths on costs that are reduced by what each row and column is worth (Jonker &
/// Volgenant 1987); a time of the third power of `n` at worst.
///
/// # Panics
/// When `costs` are not `n` times `n`.
pub(super) fn assignment(costs: &[f64], n: usize) -> Vec<usize> {
    assert_eq!(costs.len(), n * n, "costs of every row and column");
    let mut found = Matching::cheapest(costs, n);
    for row in 0..n {
        if found.column_of[row].is_none() {
            found.augment(costs, row);
        }
    }
    found.column_of.into_iter().flatten().collect()
}

/// Pairs so far. What a column is worth is such that every pair is the cheapest of its row, by costs
/// less that worth.
struct Matching {
    n: usize,
    worth: Vec<f64>,
    column_of: Vec<Option<usize>>,
    row_of: Vec<Option<usize>>,
}

/// Ways from one row to columns, through pairs that give way.
struct Ways {
    length: Vec<f64>,
    /// The row from which the way enters a column.
    from: Vec<usize>,
    settled: Vec<bool>,
}

impl Matching {
    /// Each column with the row that it is cheapest for, where that row is free.
    fn cheapest(costs: &[f64], n: usize) -> Self {
        let mut found = Self {
            n,
            worth: vec![f64::INFINITY; n],
            column_of: vec![None; n],
            row_of: vec![None; n],
        };
        let mut cheapest = vec![0; n];
        for (row, costs) in costs.chunks(n.max(1)).enumerate() {
            for (column, &cost) in costs.iter().enumerate() {
                if cost < found.worth[column] {
                    (found.worth[column], cheapest[column]) = (cost, row);
                }
            }
        }
        for (column, row) in cheapest.into_iter().enumerate() {
            if found.column_of[row].is_none() {
                found.pair(row, column);
            }
        }
        found
    }

    fn pair(&mut self, row: usize, column: usize) {
        self.column_of[row] = Some(column);
        self.row_of[column] = Some(row);
    }

    /// Pairs one more row, along the shortest way to a free column.
    fn augment(&mut self, costs: &[f64], row: usize) {
        let mut ways = Ways {
            length: vec![f64::INFINITY; self.n],
            from: vec![row; self.n],
            settled: vec![false; self.n],
        };
        let (mut at, mut gone) = (row, 0.0);
        let mut end = loop {
            self.go_on(costs, (at, gone), &mut ways);
            let next = ways.nearest();
            (ways.settled[next], gone) = (true, ways.length[next]);
            match self.row_of[next] {
                Some(row) => at = row,
                None => break next,
            }
        };
        for column in (0..self.n).filter(|&column| ways.settled[column]) {
            self.worth[column] += ways.length[column] - gone;
        }
        // Each row on the way takes the column that the way enters from it.
        loop {
            let from = ways.from[end];
            let given_up = self.column_of[from];
            self.pair(from, end);
            match given_up {
                Some(column) => end = column,
                None => return,
            }
        }
    }

    /// Goes on by `row`, `gone` away from the beginning, to every column that is not settled.
    fn go_on(&self, costs: &[f64], (row, gone): (usize, f64), ways: &mut Ways) {
        let costs = &costs[row * self.n..][..self.n];
        // A pair is the cheapest of its row: ways go on from what it costs.
        let own = self.column_of[row].map_or(0.0, |column| costs[column] - self.worth[column]);
        for (column, cost) in costs.iter().enumerate() {
            let length = gone + (cost - self.worth[column] - own);
            if !ways.settled[column] && length < ways.length[column] {
                (ways.length[column], ways.from[column]) = (length, row);
            }
        }
    }
}

impl Ways {
    /// The nearest column that is not settled; there is a free one.
    fn nearest(&self) -> usize {
        let open = (0..self.settled.len()).filter(|&column| !self.settled[column]);
        let nearest = open.min_by(|&a, &b| self.length[a].total_cmp(&self.length[b]));
        nearest.expect("a column that is free")
    }
}

#[cfg(test)]
mod tests {
    use super::assignment;
    use crate::rng::Stream;

    /// The least cost over all ways to assign rows from `row` on to the columns left.
    fn least(costs: &[f64], n: usize, row: usize, taken: &mut Vec<bool>) -> f64 {
        if row == n {
            return 0.0;
        }
        let mut best = f64::INFINITY;
        for column in 0..n {
            if !taken[column] {
                taken[column] = true;
                best = best.min(costs[row * n + column] + least(costs, n, row + 1, taken));
                taken[column] = false;
            }
        }
        best
    }

    fn sum(costs: &[f64], n: usize) -> f64 {
        let found = assignment(costs, n);
        let mut sorted = found.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..n).collect::<Vec<_>>(), "each column once");
        found
            .iter()
            .enumerate()
            .map(|(row, column)| costs[row * n + column])
            .sum()
    }

    fn random(n: i64, rng: &mut Stream) -> Vec<f64> {
        // Costs of unequal rows and columns, also below 0.
        let [row, column] = [[n, 1], [1, n]].map(|size| rng.normal(&size, tch::Device::Cpu) * 3.0);
        let costs = rng.normal(&[n, n], tch::Device::Cpu) * row.exp().clamp_max(20.0) + row + column;
        Vec::try_from(costs.to_kind(tch::Kind::Double).view(-1)).unwrap()
    }

    #[test]
    fn no_permutation_costs_less() {
        let rng = &mut Stream::new(1, "costs");
        for n in [1, 2, 3, 6, 6, 6, 6, 6, 6, 6, 6] {
            let costs = random(n as i64, rng);
            let (found, due) = (sum(&costs, n), least(&costs, n, 0, &mut vec![false; n]));
            assert!((found - due).abs() < 1e-9, "{n}: {found} for {due}");
        }
        assert!(assignment(&[], 0).is_empty());
    }

    #[test]
    fn no_exchange_of_two_columns_costs_less_where_there_are_many() {
        let n = 60;
        let costs = random(n as i64, &mut Stream::new(2, "costs"));
        let found = assignment(&costs, n);
        let at = |row: usize, column: usize| costs[row * n + found[column]];
        for a in 0..n {
            for b in 0..a {
                assert!(at(a, a) + at(b, b) <= at(a, b) + at(b, a) + 1e-9, "rows {a} and {b}");
            }
        }
    }

    #[test]
    fn equal_costs_are_assigned_as_well() {
        assert_eq!(sum(&[1.0; 25], 5), 5.0);
    }
}
