//! The chart in the README: one product, over the number of buyers; and each step of its sale, by 256 callers.

use std::error::Error;

use plotters::{
    coord::Shift,
    prelude::{
        ChartBuilder, Color, DrawingArea, IntoDrawingArea, IntoFont, IntoLogRange, IntoTextStyle,
        LineSeries, PathElement, RGBColor, Rectangle, SVGBackend, SeriesLabelPosition, Text, WHITE,
    },
    style::text_anchor::{HPos, Pos, VPos},
};

use crate::{
    bars::{Step, WAYS},
    checkouts::{Measured, Method},
};

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), Box<dyn Error>>;

const SIZE: (u32, u32) = (760, 820);
/// Where the second part begins.
const STEPS_AT: u32 = 420;
/// Whole sales by hand are few.
const LOWEST: f64 = 10.0;

const BY_HAND: RGBColor = RGBColor(110, 110, 110);
const ONE_BY_ONE: RGBColor = RGBColor(31, 119, 180);
const BATCHED: RGBColor = RGBColor(20, 140, 60);
const FRAME: RGBColor = RGBColor(200, 200, 200);

fn colour(method: Method) -> RGBColor {
    match method {
        Method::ByHand => BY_HAND,
        Method::Optimistic => RGBColor(214, 137, 16),
        Method::Pessimistic => RGBColor(125, 60, 152),
        Method::Guarded => ONE_BY_ONE,
        Method::Batched => BATCHED,
    }
}

/// Draws both parts. What was not measured is left out.
pub(crate) fn draw(measured: &[Measured], steps: &[Step], file: &str) -> Drawn {
    let area = SVGBackend::new(file, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let (buyers, sale) = area.split_vertically(STEPS_AT);
    draw_buyers(&buyers, measured)?;
    draw_steps(&sale, steps)?;
    area.present()?;
    Ok(())
}

/// Draws orders per second of one product over the number of buyers.
fn draw_buyers(area: &Area<'_>, measured: &[Measured]) -> Drawn {
    let mut chart = ChartBuilder::on(area)
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
        .border_style(FRAME)
        .position(SeriesLabelPosition::UpperLeft)
        .draw()?;
    Ok(())
}

/// Draws a group of bars for each step of a sale.
fn draw_steps(area: &Area<'_>, steps: &[Step]) -> Drawn {
    let title = "One product, 256 callers: each step of a sale, and whole sales, per second";
    let last = steps.len().max(1) as f64 + 0.5;
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(30)
        .y_label_area_size(60)
        // Above the highest bar is space for the legend.
        .build_cartesian_2d(0.5..last, (LOWEST..1_000_000.0).log_scale())?;
    let name = |at: &f64| {
        let step = steps.get((at.round() as usize).wrapping_sub(1));
        step.map_or(String::new(), |step| step.name.to_owned())
    };
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_labels(steps.len())
        .x_label_formatter(&name)
        .x_label_style(("sans-serif", 15))
        .y_label_formatter(&|number| format!("{number:.0}"))
        .light_line_style(WHITE)
        .draw()?;
    const WIDTH: f64 = 0.26;
    let label = ("sans-serif", 12).into_font();
    let label = label
        .into_text_style(area)
        .pos(Pos::new(HPos::Center, VPos::Bottom));
    for (way, colour) in [BY_HAND, ONE_BY_ONE, BATCHED].into_iter().enumerate() {
        let bar = |(at, step): (usize, &Step)| {
            let middle = at as f64 + 1.0 + (way as f64 - 1.0) * WIDTH;
            (middle, step.rates[way].max(LOWEST))
        };
        let bars: Vec<(f64, f64)> = steps.iter().enumerate().map(bar).collect();
        let rectangles = bars.iter().map(|&(middle, rate)| {
            let (left, right) = (middle - WIDTH * 0.45, middle + WIDTH * 0.45);
            Rectangle::new([(left, LOWEST), (right, rate)], colour.filled())
        });
        chart
            .draw_series(rectangles)?
            .label(WAYS[way])
            .legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 18, y + 5)], colour.filled()));
        let numbers = steps.iter().zip(&bars).map(|(step, &(middle, rate))| {
            let number = format!("{:.0}", step.rates[way]);
            Text::new(number, (middle, rate * 1.06), label.clone())
        });
        chart.draw_series(numbers)?;
    }
    chart
        .configure_series_labels()
        .background_style(WHITE.mix(0.9))
        .border_style(FRAME)
        .position(SeriesLabelPosition::UpperRight)
        .draw()?;
    Ok(())
}
