//! `keys`: who may call. What stands in the key file is `keys`'.

use crate::scalar::{At, Text};
use crate::shape::record;

record! {
    /// Who may call.
    KeysFile {
        required {
            /// The key file, which `tidegate key new` writes.
            file: At<Text>,
        }
    }
}
