/** A sketch as a histogram whose bins grow with their values. */
import type { Bin } from '../charts/histogram.js';
import type { QuantileSketch } from '../stats/sketch.js';

/** Bins to a doubling of the value. */
const BINS_PER_OCTAVE = 8;

/** Bins that hold something, ascending; all values below 0 are in one, and so are those that count as 0. */
export function binsOf(sketch: QuantileSketch): Bin[] {
  const perBin = Math.max(0, sketch.k - Math.log2(BINS_PER_OCTAVE));
  const bins = new Map<number, number>();
  let below = 0;
  let zeros = 0;
  for (const { sign, bucket, count } of sketch.buckets()) {
    if (sign < 0) below += count;
    else if (sign === 0) zeros += count;
    else bins.set(bucket >> perBin, (bins.get(bucket >> perBin) ?? 0) + count);
  }
  const bitsLeft = sketch.k - perBin;
  return [
    ...(below > 0 ? [[sketch.min as number, 0, below] as const] : []),
    ...(zeros > 0 ? [[0, 0, zeros] as const] : []),
    ...[...bins]
      .sort(([a], [b]) => a - b)
      .map(([bin, count]) => [edge(bin, bitsLeft), edge(bin + 1, bitsLeft), count] as const),
  ];
}

/** The least value of a bin, whose number is that of a double's highest bits. */
function edge(bin: number, mantissaBits: number): number {
  const perOctave = 2 ** mantissaBits;
  const exponent = Math.floor(bin / perOctave);
  const low = 1 + (bin - exponent * perOctave) / perOctave;
  return Number((2 ** (exponent - 1023) * low).toPrecision(6));
}
