//! The loader from outside: one binary, since each costs a link after every change.

mod files;
mod hostile;
mod robust;
