//! What an adapter must fit: the sizes of the base's products, and how their rows lie.

/// The products of a layer that can be adapted, by the names that adapters know them by.
pub(crate) const PROJECTIONS: [&str; 7] = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];

/// The place of a product in [`PROJECTIONS`].
pub(crate) fn slot_of(name: &str) -> Option<usize> {
    PROJECTIONS.iter().position(|known| *known == name)
}

/// A product's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    /// Outputs.
    pub(crate) rows: usize,
    /// Inputs.
    pub(crate) cols: usize,
}

/// The products of a base.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct BaseShape {
    /// A layer's products, in the order of [`PROJECTIONS`]. Empty for a model that takes no adapters.
    pub(crate) layers: Vec<[Size; 7]>,
    /// Numbers in a head whose rows of query and key lie in pairs, as in GGUF files of llamas, where adapters have them in
    /// halves; `None` where both have them alike.
    pub(crate) paired: Option<usize>,
    /// Whether adapters know query, key and value as one product, and gate and up as one.
    pub(crate) fused: bool,
    /// Whether its products are kept in fewer than eight bits a weight, so that an adapter in eight is fine beside them.
    pub(crate) is_coarse: bool,
}

impl BaseShape {
    /// The modules of a layer as adapters name them, each with its products and where their rows begin.
    pub(crate) fn modules(&self, layer: usize) -> Vec<(String, Vec<usize>)> {
        let name = |part: &str, name: &str| format!("model.layers.{layer}.{part}.{name}");
        if self.fused {
            return vec![
                (name("self_attn", "qkv_proj"), vec![0, 1, 2]),
                (name("self_attn", "o_proj"), vec![3]),
                (name("mlp", "gate_up_proj"), vec![4, 5]),
                (name("mlp", "down_proj"), vec![6]),
            ];
        }
        let part = |slot: usize| if slot < 4 { "self_attn" } else { "mlp" };
        PROJECTIONS.iter().enumerate().map(|(slot, known)| (name(part(slot), known), vec![slot])).collect()
    }

    /// Where the row that an adapter calls `row` lies in the base, for a product.
    pub(crate) fn row(&self, slot: usize, row: usize) -> usize {
        let Some(dim) = self.paired.filter(|_| slot < 2) else { return row };
        let (head, within) = (row / dim, row % dim);
        let (half, index) = (within / (dim / 2), within % (dim / 2));
        head * dim + index * 2 + half
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_of_heads_become_pairs_for_queries_and_keys_alone() {
        let base = BaseShape { paired: Some(8), ..BaseShape::default() };
        let rows: Vec<usize> = (0..16).map(|row| base.row(0, row)).collect();
        assert_eq!(rows, [0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15]);
        assert_eq!((base.row(2, 3), BaseShape::default().row(0, 3)), (3, 3));
    }
}
