//! Stub until merge.
pub struct HeatMap<'a> { pub log_density: &'a tch::Tensor, pub area: [f64;4], pub data: Option<&'a tch::Tensor>, pub samples: Option<&'a tch::Tensor>, pub title: &'a str }
pub fn heat_map(_: &HeatMap, _: &std::path::Path) -> crate::error::Result<()> { todo!() }
