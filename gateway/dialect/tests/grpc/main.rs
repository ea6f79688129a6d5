//! The messages of the Open Inference Protocol over gRPC against code that is made from their definition, and what is wrong with
//! them by name.

#[cfg(test)]
mod about;
#[cfg(test)]
mod agree;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod messages;
