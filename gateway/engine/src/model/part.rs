//! The tensors of a decoder by what they are for, and what the file formats call them.

/// A tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// The tokens' rows.
    Embedding,
    /// The norm after the last layer.
    Norm,
    /// From the last layer to scores; absent where the embedding serves.
    Head,
    /// What the speeds of the rotary positions are divided by.
    RotaryFactors,
    /// A tensor of the layer of this index.
    Layer(usize, LayerPart),
}

/// A tensor of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LayerPart {
    AttentionNorm,
    Query,
    Key,
    Value,
    /// Query, key and value in one.
    QueryKeyValue,
    QueryBias,
    KeyBias,
    ValueBias,
    QueryNorm,
    KeyNorm,
    Output,
    PostAttentionNorm,
    FeedNorm,
    Gate,
    Up,
    /// Gate and up in one.
    GateUp,
    Down,
    PostFeedNorm,
}

impl Part {
    /// Its name in a GGUF file.
    pub(crate) fn gguf(self) -> String {
        use LayerPart as P;
        let (layer, part) = match self {
            Self::Embedding => return "token_embd.weight".into(),
            Self::Norm => return "output_norm.weight".into(),
            Self::Head => return "output.weight".into(),
            Self::RotaryFactors => return "rope_freqs.weight".into(),
            Self::Layer(layer, part) => (layer, part),
        };
        let name = match part {
            P::AttentionNorm => "attn_norm.weight",
            P::Query => "attn_q.weight",
            P::Key => "attn_k.weight",
            P::Value => "attn_v.weight",
            P::QueryKeyValue => "attn_qkv.weight",
            P::QueryBias => "attn_q.bias",
            P::KeyBias => "attn_k.bias",
            P::ValueBias => "attn_v.bias",
            P::QueryNorm => "attn_q_norm.weight",
            P::KeyNorm => "attn_k_norm.weight",
            P::Output => "attn_output.weight",
            P::PostAttentionNorm => "post_attention_norm.weight",
            P::FeedNorm => "ffn_norm.weight",
            P::Gate => "ffn_gate.weight",
            // Files of models whose gate and up are one tensor call it by the name of the second.
            P::Up | P::GateUp => "ffn_up.weight",
            P::Down => "ffn_down.weight",
            P::PostFeedNorm => "post_ffw_norm.weight",
        };
        format!("blk.{layer}.{name}")
    }

    /// Its name in a Hugging Face folder; `four_norms` where a layer has them (Gemma), which changes what one is called.
    pub(crate) fn hugging_face(self, four_norms: bool) -> String {
        use LayerPart as P;
        let (layer, part) = match self {
            Self::Embedding => return "model.embed_tokens.weight".into(),
            Self::Norm => return "model.norm.weight".into(),
            Self::Head => return "lm_head.weight".into(),
            // Speeds are scaled by settings there, not by a tensor.
            Self::RotaryFactors => return "rope_freqs.weight".into(),
            Self::Layer(layer, part) => (layer, part),
        };
        let name = match part {
            P::AttentionNorm => "input_layernorm.weight",
            P::Query => "self_attn.q_proj.weight",
            P::Key => "self_attn.k_proj.weight",
            P::Value => "self_attn.v_proj.weight",
            P::QueryKeyValue => "self_attn.qkv_proj.weight",
            P::QueryBias => "self_attn.q_proj.bias",
            P::KeyBias => "self_attn.k_proj.bias",
            P::ValueBias => "self_attn.v_proj.bias",
            P::QueryNorm => "self_attn.q_norm.weight",
            P::KeyNorm => "self_attn.k_norm.weight",
            P::Output => "self_attn.o_proj.weight",
            P::PostAttentionNorm => "post_attention_layernorm.weight",
            P::FeedNorm if four_norms => "pre_feedforward_layernorm.weight",
            P::FeedNorm => "post_attention_layernorm.weight",
            P::Gate => "mlp.gate_proj.weight",
            P::Up => "mlp.up_proj.weight",
            P::GateUp => "mlp.gate_up_proj.weight",
            P::Down => "mlp.down_proj.weight",
            P::PostFeedNorm => "post_feedforward_layernorm.weight",
        };
        format!("model.layers.{layer}.{name}")
    }
}
