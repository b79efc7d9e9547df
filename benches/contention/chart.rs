//! The chart in the README.

use std::error::Error;

use plotters::prelude::{
    ChartBuilder, Color, IntoDrawingArea, IntoLogRange, LineSeries, PathElement, RGBColor,
    SVGBackend, WHITE,
};

use crate::checkouts::{Measured, Method};

const SIZE: (u32, u32) = (760, 420);

fn colour(method: Method) -> RGBColor {
    match method {
        Method::ByHand => RGBColor(110, 110, 110),
        Method::Optimistic => RGBColor(214, 137, 16),
        Method::Pessimistic => RGBColor(125, 60, 152),
        Method::Guarded => RGBColor(31, 119, 180),
        Method::Batched => RGBColor(20, 140, 60),
    }
}

/// Draws orders per second of one product over the number of buyers.
pub(crate) fn draw(measured: &[Measured], file: &str) -> Result<(), Box<dyn Error>> {
    let area = SVGBackend::new(file, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption("One product: orders per second", ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(60)
        .build_cartesian_2d(
            (1.0..256.0).log_scale().base(2.0),
            (100.0..100_000.0).log_scale(),
        )?;
    let whole = |number: &f64| format!("{number:.0}");
    chart
        .configure_mesh()
        .x_desc("buyers")
        .x_labels(9)
        .x_label_formatter(&whole)
        .y_label_formatter(&whole)
        .light_line_style(WHITE)
        .draw()?;
    for (index, method) in Method::ALL.into_iter().enumerate() {
        let rows = measured.iter().filter(|row| row.products == 1);
        let points = rows.map(|row| (row.buyers as f64, row.rates[index]));
        let style = colour(method).stroke_width(3);
        chart
            .draw_series(LineSeries::new(points, style).point_size(3))?
            .label(method.name())
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
    }
    chart
        .configure_series_labels()
        .background_style(WHITE.mix(0.9))
        .border_style(RGBColor(200, 200, 200))
        .position(plotters::prelude::SeriesLabelPosition::UpperLeft)
        .draw()?;
    area.present()?;
    Ok(())
}
