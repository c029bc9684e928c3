//! IMAGE: the pixels of a PNG or JPEG file.
//!
//! Values are 0 to 255; scaling them belongs to the model's preprocessing. Files of 16 bits a channel are cut to 8, an
//! orientation that a camera noted beside the pixels is not applied, and the first frame of several counts.

use std::io::Cursor;

use image::codecs::png::PngEncoder;
use image::imageops::{self, FilterType};
use image::{DynamicImage, ExtendedColorType, ImageEncoder as _, ImageFormat, ImageReader, Limits};
use serde::{Deserialize, Serialize};

use super::{DecodeError, FormatError, check_shape};

/// The largest file's width and height.
const LARGEST_SIDE: u32 = 16_384;
/// What decoding one file may take.
const LARGEST_BYTES: u64 = 256 << 20;

/// What is made of a PNG or JPEG file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// Rows of pixels.
    pub height: u32,
    /// Pixels of a row.
    pub width: u32,
    /// What each pixel has.
    #[serde(default)]
    pub channels: Channels,
    /// In which order the numbers stand.
    #[serde(default)]
    pub layout: ImageLayout,
    /// What is made of a file of another size.
    #[serde(default)]
    pub resize: Resize,
}

/// What a pixel has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Channels {
    /// One channel: luminance (ITU-R BT.709 weights of a file with colours).
    Gray,
    /// Red, green, blue. Transparency is dropped.
    #[default]
    Rgb,
    /// Red, green, blue, opacity, which is 255 where the file has none.
    Rgba,
}

/// In which order the numbers of an image stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ImageLayout {
    /// A plane a channel, as PyTorch wants them: channels, height, width.
    #[default]
    ChannelsFirst,
    /// Pixel by pixel, as Keras wants them: height, width, channels.
    ChannelsLast,
}

/// What is made of a file of another size.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Resize {
    /// The record is refused.
    #[default]
    Refuse,
    /// All of it, whatever becomes of its proportions.
    Stretch,
    /// Its middle, with its proportions: as much as fits the size.
    Crop,
    /// All of it, with its proportions, in the middle of black (transparent) pixels.
    Pad,
}

impl Image {
    /// The shape of one record.
    pub(super) fn shape(&self) -> Vec<u32> {
        let channels = self.channels.count();
        match self.layout {
            ImageLayout::ChannelsFirst => vec![channels, self.height, self.width],
            ImageLayout::ChannelsLast => vec![self.height, self.width, channels],
        }
    }

    pub(super) fn check(&self) -> Result<(), FormatError> {
        check_shape("image", &self.shape())?;
        if self.height.max(self.width) > LARGEST_SIDE {
            return Err(FormatError(format!(
                "an image has at most {LARGEST_SIDE} pixels a side"
            )));
        }
        Ok(())
    }

    /// Appends the image's numbers.
    pub(super) fn decode(&self, value: &[u8], row: &mut Vec<f32>) -> Result<(), DecodeError> {
        let image = self.resized(open(value)?)?;
        match self.channels {
            Channels::Gray => self.push(image.to_luma8().as_raw(), row),
            Channels::Rgb => self.push(image.to_rgb8().as_raw(), row),
            Channels::Rgba => self.push(image.to_rgba8().as_raw(), row),
        }
        Ok(())
    }

    /// By triangles, whose width grows where the image shrinks: every pixel of the file counts.
    fn resized(&self, image: DynamicImage) -> Result<DynamicImage, DecodeError> {
        let (width, height) = (self.width, self.height);
        let found = (image.width(), image.height());
        if found == (width, height) {
            return Ok(image);
        }
        // In their order here, so that no filter is run over a channel that is dropped.
        let image = match self.channels {
            Channels::Gray => DynamicImage::ImageLuma8(image.to_luma8()),
            Channels::Rgb => DynamicImage::ImageRgb8(image.to_rgb8()),
            Channels::Rgba => DynamicImage::ImageRgba8(image.to_rgba8()),
        };
        match self.resize {
            Resize::Refuse => Err(DecodeError::Image {
                reason: format!(
                    "it has {} × {} pixels where {width} × {height} are expected, and the format says nothing of resizing",
                    found.0, found.1
                ),
            }),
            Resize::Stretch => Ok(image.resize_exact(width, height, FilterType::Triangle)),
            Resize::Crop => Ok(image.resize_to_fill(width, height, FilterType::Triangle)),
            Resize::Pad => {
                let inner = image.resize(width, height, FilterType::Triangle);
                let mut outer = DynamicImage::new(width, height, inner.color());
                let x = i64::from(width - inner.width().min(width)) / 2;
                let y = i64::from(height - inner.height().min(height)) / 2;
                imageops::overlay(&mut outer, &inner, x, y);
                Ok(outer)
            }
        }
    }

    /// Numbers that stand pixel by pixel.
    fn push(&self, pixels: &[u8], row: &mut Vec<f32>) {
        let channels = self.channels.count() as usize;
        match self.layout {
            ImageLayout::ChannelsLast => row.extend(pixels.iter().map(|number| f32::from(*number))),
            ImageLayout::ChannelsFirst => {
                for channel in 0..channels {
                    let plane = pixels.iter().skip(channel).step_by(channels);
                    row.extend(plane.map(|number| f32::from(*number)));
                }
            }
        }
    }
}

impl Channels {
    fn count(self) -> u32 {
        match self {
            Self::Gray => 1,
            Self::Rgb => 3,
            Self::Rgba => 4,
        }
    }
}

/// Writes the numbers of a record as a PNG file, which holds exactly these.
///
/// # Errors
/// [`FormatError`] where they are not as many as the format has.
pub fn image_record(format: &Image, numbers: &[u8]) -> Result<Vec<u8>, FormatError> {
    let channels = format.channels.count() as usize;
    let pixels = format.height as usize * format.width as usize;
    if numbers.len() != channels * pixels {
        return Err(FormatError(format!(
            "an image of {} × {} pixels has {} numbers, and {} are given",
            format.width,
            format.height,
            channels * pixels,
            numbers.len()
        )));
    }
    // In a file they stand pixel by pixel.
    let place = |place: usize| match format.layout {
        ImageLayout::ChannelsLast => place,
        ImageLayout::ChannelsFirst => place % channels * pixels + place / channels,
    };
    let samples: Vec<u8> = (0..numbers.len()).map(|one| numbers[place(one)]).collect();
    let color = match format.channels {
        Channels::Gray => ExtendedColorType::L8,
        Channels::Rgb => ExtendedColorType::Rgb8,
        Channels::Rgba => ExtendedColorType::Rgba8,
    };
    let mut file = Vec::new();
    PngEncoder::new(&mut file)
        .write_image(&samples, format.width, format.height, color)
        .map_err(|error| FormatError(format!("no image can be made of it: {error}")))?;
    Ok(file)
}

fn open(value: &[u8]) -> Result<DynamicImage, DecodeError> {
    let refuse = |reason: String| DecodeError::Image { reason };
    let format = image::guess_format(value).ok();
    let Some(format @ (ImageFormat::Png | ImageFormat::Jpeg)) = format else {
        return Err(refuse("it begins like neither PNG nor JPEG".to_owned()));
    };
    let mut reader = ImageReader::with_format(Cursor::new(value), format);
    // A small file may promise an image that fills the memory.
    let mut limits = Limits::default();
    limits.max_image_width = Some(LARGEST_SIDE);
    limits.max_image_height = Some(LARGEST_SIDE);
    limits.max_alloc = Some(LARGEST_BYTES);
    reader.limits(limits);
    reader.decode().map_err(|error| refuse(error.to_string()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::record::{Decoder, Parts, RecordFormat};

    fn format(height: u32, width: u32, more: &Value) -> RecordFormat {
        let mut format = json!({"type": "IMAGE", "height": height, "width": width});
        let more = more.as_object().unwrap().clone();
        format.as_object_mut().unwrap().extend(more);
        let format: RecordFormat = serde_json::from_value(format).unwrap();
        format.check(None).unwrap();
        format
    }

    fn png(pixels: &[u8], width: u32, height: u32, color: ExtendedColorType) -> Vec<u8> {
        let mut file = Vec::new();
        let encoder = image::codecs::png::PngEncoder::new(&mut file);
        encoder.write_image(pixels, width, height, color).unwrap();
        file
    }

    fn decode(format: &RecordFormat, value: &[u8]) -> Result<Vec<f32>, DecodeError> {
        let parts = Parts {
            key: None,
            value: Some(value),
            timestamp_ms: None,
            headers: &(),
        };
        let mut row = Vec::new();
        let decoded = Decoder::new(format, None).decode(&parts, &mut row, &mut Vec::new());
        decoded.map(|()| row)
    }

    #[test]
    fn pixels_stand_in_the_order_that_is_asked_for() {
        let file = png(&[1, 2, 3, 4, 5, 6], 2, 1, ExtendedColorType::Rgb8);
        let first = format(1, 2, &json!({}));
        assert_eq!(first.shape(), [3, 1, 2]);
        assert_eq!(
            decode(&first, &file).unwrap(),
            [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]
        );
        let last = format(1, 2, &json!({"layout": "CHANNELS_LAST"}));
        assert_eq!(last.shape(), [1, 2, 3]);
        assert_eq!(
            decode(&last, &file).unwrap(),
            [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
        );
        let opaque = format(
            1,
            2,
            &json!({"layout": "CHANNELS_LAST", "channels": "RGBA"}),
        );
        assert_eq!(
            decode(&opaque, &file).unwrap(),
            [1.0, 2.0, 3.0, 255.0, 4.0, 5.0, 6.0, 255.0]
        );
        let gray = png(&[7, 200], 2, 1, ExtendedColorType::L8);
        assert_eq!(
            decode(&format(1, 2, &json!({"channels": "GRAY"})), &gray).unwrap(),
            [7.0, 200.0]
        );
        assert_eq!(
            decode(&last, &gray).unwrap(),
            [7.0, 7.0, 7.0, 200.0, 200.0, 200.0]
        );
    }

    #[test]
    fn another_size_is_refused_or_resized_as_stated() {
        let file = png(&[0, 100, 200, 100], 4, 1, ExtendedColorType::L8);
        let resized = |height, width, resize: &str| {
            decode(
                &format(
                    height,
                    width,
                    &json!({"channels": "GRAY", "resize": resize}),
                ),
                &file,
            )
        };
        let error = resized(1, 2, "REFUSE").unwrap_err();
        assert_eq!(error.code(), "image");
        assert!(
            error.to_string().contains("4 × 1 pixels where 2 × 1"),
            "{error}"
        );
        assert_eq!(resized(1, 4, "REFUSE").unwrap(), [0.0, 100.0, 200.0, 100.0]);
        let stretched = resized(1, 2, "STRETCH").unwrap();
        assert!(
            stretched[0] < stretched[1] && stretched[1] > 100.0,
            "{stretched:?}"
        );
        let middle = resized(1, 1, "CROP").unwrap();
        assert!((100.0..=200.0).contains(&middle[0]), "{middle:?}");
        let padded = resized(3, 4, "PAD").unwrap();
        assert_eq!(padded[..4], [0.0; 4]);
        assert_eq!(padded[4..8], [0.0, 100.0, 200.0, 100.0]);
        assert_eq!(padded[8..], [0.0; 4]);
    }

    #[test]
    fn jpeg_is_read_as_well() {
        let mut file = Vec::new();
        let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut file, 100);
        encoder
            .write_image(&[128; 64], 8, 8, ExtendedColorType::L8)
            .unwrap();
        let row = decode(&format(8, 8, &json!({"channels": "GRAY"})), &file).unwrap();
        assert!(
            row.iter().all(|number| (number - 128.0).abs() <= 1.0),
            "{row:?}"
        );
    }

    #[test]
    fn what_is_no_image_is_told() {
        let format = format(1, 1, &json!({}));
        for value in [&b""[..], b"GIF89a", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"] {
            assert_eq!(decode(&format, value).unwrap_err().code(), "image");
        }
        // A header that promises more than any memory has.
        let mut file = png(&[1], 1, 1, ExtendedColorType::L8);
        file[16..24].copy_from_slice(&[0x7f; 8]);
        assert_eq!(decode(&format, &file).unwrap_err().code(), "image");
    }

    proptest! {
        /// What is written is what is read.
        #[test]
        fn numbers_are_written_and_read_back(
            (height, width) in (1..5_u32, 1..5_u32), channels in 0..3_usize, first: bool, seed: u8,
        ) {
            let channels = ["GRAY", "RGB", "RGBA"][channels];
            let layout = if first { "CHANNELS_FIRST" } else { "CHANNELS_LAST" };
            let format = format(height, width, &json!({"channels": channels, "layout": layout}));
            let RecordFormat::Image(image) = &format else { unreachable!("it is one of images") };
            let numbers: Vec<u8> =
                (0..).map(|one: u8| one.wrapping_mul(7).wrapping_add(seed)).take(format.elements()).collect();
            let file = image_record(image, &numbers).unwrap();
            let expected: Vec<f32> = numbers.iter().copied().map(f32::from).collect();
            prop_assert_eq!(decode(&format, &file).unwrap(), expected);
            prop_assert!(image_record(image, &numbers[1..]).is_err());
        }

        /// Whatever the bytes are, they are decoded or refused.
        #[test]
        fn rubbish_is_refused(place in 0..60_usize, byte: u8, cut in 0..60_usize) {
            let mut file = png(&[1, 2, 3, 4], 2, 2, ExtendedColorType::L8);
            let place = place % file.len();
            file[place] = byte;
            file.truncate(file.len() - cut.min(file.len()));
            let _ = decode(&format(2, 2, &json!({"resize": "STRETCH"})), &file);
        }
    }
}
