//! Which rows of a step wear which adapter: rows of one adapter are worked on together, up to four at a time. A row's sums
//! do not depend on the others.

use super::Adapter;
use crate::kernel::Isa;
use crate::kernel::lora::TILE;
use crate::model::StepSequence;
use crate::threads::Threads;
use std::sync::Arc;

/// Up to four rows of one adapter.
struct Tile {
    adapter: Arc<Adapter>,
    rows: [usize; TILE],
    count: usize,
}

/// The adapters of a step, and the room that their differences take.
#[derive(Default)]
pub(crate) struct Worn {
    tiles: Vec<Tile>,
    spare: Vec<f32>,
}

impl Worn {
    /// Groups the rows of a step.
    pub(crate) fn plan(&mut self, sequences: &[StepSequence]) {
        self.tiles.clear();
        let mut row = 0;
        for sequence in sequences {
            if let Some(adapter) = &sequence.adapter {
                (row..row + sequence.tokens).for_each(|row| self.wear(adapter, row));
            }
            row += sequence.tokens;
        }
    }

    fn wear(&mut self, adapter: &Arc<Adapter>, row: usize) {
        let fits = |tile: &&mut Tile| tile.count < TILE && Arc::ptr_eq(&tile.adapter, adapter);
        match self.tiles.iter_mut().rev().find(fits) {
            Some(tile) => {
                tile.rows[tile.count] = row;
                tile.count += 1;
            }
            None => self.tiles.push(Tile { adapter: Arc::clone(adapter), rows: [row; TILE], count: 1 }),
        }
    }

    /// Lets go of the adapters, which may then be dropped.
    pub(crate) fn clear(&mut self) {
        self.tiles.clear();
    }

    /// Adds the differences of a product to `out`, whose rows belong to those of `x`.
    pub(crate) fn add(
        &mut self,
        (isa, threads): (Isa, &Threads),
        (layer, slot): (usize, usize),
        (x, cols): (&[f32], usize),
        (out, rows): (&mut [f32], usize),
    ) {
        if self.tiles.is_empty() {
            return;
        }
        let tiles = &self.tiles;
        // Waking others costs more than one tile takes.
        if threads.count() == 1 || tiles.len() == 1 {
            for tile in tiles {
                tile.add((isa, (layer, slot)), (x, cols), out, tile.rows.map(|row| row * rows));
            }
            return;
        }
        let share = TILE * rows;
        self.spare.resize(tiles.len() * share, 0.0);
        threads.chunks(&mut self.spare, share, |i, piece| {
            piece.fill(0.0);
            tiles[i].add((isa, (layer, slot)), (x, cols), piece, [0, rows, 2 * rows, 3 * rows]);
        });
        for (tile, piece) in tiles.iter().zip(self.spare.chunks_exact(share)) {
            if tile.adapter.difference(layer, slot).is_none() {
                continue;
            }
            for (row, piece) in tile.rows.iter().take(tile.count).zip(piece.chunks_exact(rows)) {
                for (o, d) in out[row * rows..][..rows].iter_mut().zip(piece) {
                    *o += d;
                }
            }
        }
    }
}

impl Tile {
    /// Adds the differences of its rows, which begin where `begin` says; nothing where its adapter has none there.
    fn add(
        &self,
        (isa, (layer, slot)): (Isa, (usize, usize)),
        (x, cols): (&[f32], usize),
        out: &mut [f32],
        begin: [usize; TILE],
    ) {
        if let Some(difference) = self.adapter.difference(layer, slot) {
            let input = self.rows.map(|row| &x[row * cols..][..cols]);
            difference.apply(isa, &input[..self.count], out, &begin[..self.count]);
        }
    }
}
