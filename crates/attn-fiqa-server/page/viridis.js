// The colour map for face maps: viridis (van der Walt and Smith, for matplotlib, CC0).

// Every 15th of its 256 colours. Linear interpolation between them is within 5 of 255 per channel.
const STOPS = [
  [68, 1, 84],
  [72, 23, 105],
  [71, 42, 122],
  [67, 61, 132],
  [61, 78, 138],
  [53, 94, 141],
  [46, 109, 142],
  [41, 123, 142],
  [35, 137, 142],
  [31, 151, 139],
  [33, 165, 133],
  [46, 179, 124],
  [70, 192, 111],
  [101, 203, 94],
  [137, 213, 72],
  [176, 221, 47],
  [216, 226, 25],
  [253, 231, 37],
];

/** The colour at `fraction`, 0 to 1: red, green, blue, 0 to 255. */
export function viridis(fraction) {
  const place = Math.min(Math.max(fraction, 0), 1) * (STOPS.length - 1);
  const below = Math.min(Math.floor(place), STOPS.length - 2);
  const t = place - below;
  return STOPS[below].map((low, channel) => low + (STOPS[below + 1][channel] - low) * t);
}
