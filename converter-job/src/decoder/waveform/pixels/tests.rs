//! However the sound comes, the pixels are those that a look at all of it gives.

use super::*;
use proptest::prelude::*;

/// As much as fits into the bound, by looking at all of the sound at once.
fn naive<T: Level>(left: &[T], right: &[T], first: usize, most: usize) -> (u32, Vec<i8>) {
    let mut step = first;
    while left.len().div_ceil(step) > most {
        step *= 2;
    }
    let mixed: Vec<_> =
        left.iter().zip(right).map(|(a, b)| (a.level() + b.level()) / 2.0 / T::FULL).collect();
    let byte = |level: f32| (level * 128.0) as i8;
    let pixel = |part: &[f32]| {
        let all = |pick: fn(f32, f32) -> f32| part.iter().copied().reduce(pick).unwrap();
        [byte(all(f32::min)), byte(all(f32::max))]
    };
    (u32::try_from(step).unwrap(), mixed.chunks(step).flat_map(pixel).collect())
}

fn drawn<T: Level>(left: &[T], right: &[T], pieces: &[usize], most: usize) -> (u32, Vec<i8>) {
    let mut pixels = Pixels::new(4, most);
    let (mut at, mut pieces) = (0, pieces.iter().cycle());
    while at < left.len() {
        let end = left.len().min(at + pieces.next().unwrap());
        pixels.push(&left[at..end], &right[at..end]);
        at = end;
    }
    pixels.finish(0.5 / T::FULL)
}

proptest! {
    #[test]
    fn any_slicing_gives_what_a_look_at_all_of_it_gives(
        sound in prop::collection::vec(any::<(i16, i16)>(), 0..600),
        pieces in prop::collection::vec(1_usize..70, 1..6),
        half in 1_usize..9,
    ) {
        let (left, right): (Vec<_>, Vec<_>) = sound.into_iter().unzip();
        let (step, data) = drawn(&left, &right, &pieces, 2 * half);
        prop_assert!(data.len() <= 4 * half);
        prop_assert_eq!((step, data), naive(&left, &right, 4, 2 * half));
    }

    #[test]
    fn floats_and_wide_numbers_do_the_same(
        sound in prop::collection::vec((-1.5_f32..1.5, -1.5_f32..1.5), 0..300),
        pieces in prop::collection::vec(1_usize..70, 1..6),
    ) {
        let (left, right): (Vec<_>, Vec<_>) = sound.into_iter().unzip();
        prop_assert_eq!(drawn(&left, &right, &pieces, 8), naive(&left, &right, 4, 8));
        let wide = |plane: &[f32]| plane.iter().map(|x| (x * i32::FULL) as i32).collect::<Vec<_>>();
        let (left, right) = (wide(&left), wide(&right));
        prop_assert_eq!(drawn(&left, &right, &pieces, 8), naive(&left, &right, 4, 8));
    }
}

#[test]
fn the_bound_is_met_and_never_passed() {
    for (samples, step, pixels) in
        [(0, 4, 0), (1, 4, 1), (31, 4, 8), (32, 4, 8), (33, 8, 5), (64, 8, 8), (65, 16, 5)]
    {
        let (have, data) = drawn(&vec![7_i16; samples], &vec![7; samples], &[5], 8);
        assert_eq!((have, data.len() / 2), (step, pixels), "{samples} samples");
    }
}

#[test]
fn the_peak_is_of_either_channel_and_the_pixels_are_of_their_mix() {
    let mut pixels = Pixels::new(4, 8);
    pixels.push(&[0.25_f32, 0.5, -0.75, f32::NAN], &[-0.25, -0.5, 0.75, 0.0]);
    pixels.push(&[0.5], &[0.25]);
    assert!((pixels.peak() - 0.75).abs() < f32::EPSILON);
    assert_eq!(pixels.finish(0.5), (4, vec![0, 0, 48, 48]));
}

#[test]
fn what_is_too_loud_stays_at_the_edge() {
    let mut pixels = Pixels::new(1, 8);
    pixels.push(&[2.0_f32, -2.0, 1.0, f32::INFINITY], &[2.0, -2.0, 1.0, 0.0]);
    assert_eq!(pixels.finish(0.5).1, [127, 127, -128, -128, 127, 127, 127, 127]);
}

#[test]
fn what_is_no_number_is_silence() {
    let mut pixels = Pixels::new(2, 8);
    pixels.push(&[f32::NAN, f32::INFINITY, 0.5, f32::NAN], &[0.0, f32::NEG_INFINITY, 0.5, 0.0]);
    assert_eq!(pixels.finish(0.5).1, [0, 0, 64, 64]);
}
