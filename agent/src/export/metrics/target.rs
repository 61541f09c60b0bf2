//! `target_info`: what is known of each service beyond its measurements.

use std::{fmt, sync::Arc};

use super::{Point, Sink, Value, labels};
use crate::{
    export::{page::Page, resource::Resource},
    semconv::{self, Attribute},
};

/// The attributes that all services of this host share, with their names as labels.
#[derive(Clone, Debug, Default)]
pub struct Target {
    common: Vec<(Attribute, Arc<str>)>,
    resource: Arc<Resource>,
}

impl Target {
    /// Those of `resource`. Names that the user gave become static: make one for the life of the agent.
    #[must_use]
    pub fn new(resource: Arc<Resource>) -> Self {
        let common = resource.common.iter();
        let common = common.map(|(name, value)| (Attribute::named(name), Arc::clone(value))).collect();
        Self { common, resource }
    }
}

/// Writes the family.
pub fn write(page: &Page, out: &mut dyn Sink) -> fmt::Result {
    let services = page.services();
    if services.is_empty() {
        return Ok(());
    }
    out.family(&semconv::TARGET, &mut |points| {
        services.iter().try_for_each(|service| {
            let mut all = labels::identifying(service);
            if service.get(semconv::SERVICE_INSTANCE_ID).is_none() {
                all.push(semconv::SERVICE_INSTANCE_ID, page.target.resource.instance(&service.name));
            }
            service.descriptive.iter().for_each(|(attribute, value)| all.push(*attribute, value));
            let common = page.target.common.iter().filter(|(attribute, _)| service.get(*attribute).is_none());
            common.for_each(|(attribute, value)| all.push(*attribute, value));
            points.number(Point { attributes: &all, start: page.started }, Value::Integer(1))
        })
    })
}
