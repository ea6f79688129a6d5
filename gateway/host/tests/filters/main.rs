//! Filters as a whole on components made for it: good ones do their work in warm instances, and whatever hostile ones do is
//! contained, counted and told by its kind, after which the next call is answered by a new instance.

#[cfg(test)]
mod good;
#[cfg(test)]
mod guardrails;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod made;
#[cfg(test)]
mod streams;
