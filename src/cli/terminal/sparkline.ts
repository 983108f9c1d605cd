/** A row of small bars: the shape of a series in one line of text. */

const BARS = '▁▂▃▄▅▆▇█';

/**
 * The last `width` values between `low` and `high` (by default the smallest and largest shown); a value that is
 * null or not finite leaves a gap, a flat series is a low line.
 */
export function sparkline(
  values: readonly (number | null)[],
  width: number,
  scale: { low?: number; high?: number } = {},
): string {
  const shown = values.slice(-width);
  const known = shown.filter((v): v is number => v !== null && Number.isFinite(v));
  const low = scale.low ?? Math.min(...known);
  const high = scale.high ?? Math.max(...known);
  return shown
    .map((value) => {
      if (value === null || !Number.isFinite(value)) return ' ';
      const share = high > low ? (value - low) / (high - low) : 0;
      return BARS[Math.round(Math.min(1, Math.max(0, share)) * (BARS.length - 1))];
    })
    .join('');
}
