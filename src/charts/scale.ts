/** Scales, ticks, and numbers beside them. */

export const UNKNOWN = '–';
/** Room around a drawing for what stands at its axes, pixels. */
export const LEFT = 58;
export const RIGHT = 14;
export const BOTTOM = 36;

/** About `digits` significant digits, never in powers of ten where a plain number will do. */
export function number(value: number | null | undefined, digits = 4): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return UNKNOWN;
  if (value === 0) return '0';
  const magnitude = Math.floor(Math.log10(Math.abs(value))) + 1;
  const decimals = Math.min(8, Math.max(0, digits - magnitude));
  return value.toLocaleString('en-US', { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
}

export function shortened(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length - 1)}…` : text;
}

export function linearTicks(low: number, high: number, about = 5): number[] {
  const rough = (high - low) / about;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5, 10].find((each) => each * power >= rough) ?? 10) * power;
  const ticks: number[] = [];
  for (let tick = Math.ceil(low / step) * step; tick <= high + step * 1e-9; tick += step)
    ticks.push(Math.abs(tick) < step * 1e-9 ? 0 : tick);
  return ticks;
}

export function logScale(low: number, high: number, width: number): (value: number) => number {
  const span = Math.max(1e-9, Math.log(high) - Math.log(low));
  return (value) => LEFT + ((Math.log(value) - Math.log(low)) / span) * (width - LEFT - RIGHT);
}

export function logTicks(low: number, high: number): number[] {
  const ticks: number[] = [];
  const octaves = Math.log10(high / low);
  const steps = octaves < 0.7 ? [1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9] : octaves < 2.2 ? [1, 2, 5] : [1];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
    for (const step of steps) {
      const tick = step * 10 ** power;
      if (tick >= low && tick <= high) ticks.push(tick);
    }
  }
  const every = Math.ceil(ticks.length / 9);
  return ticks.filter((_, i) => i % every === 0);
}

export function plain(value: number): string {
  return value >= 1e6 || value < 1e-4
    ? value.toExponential(0)
    : value.toLocaleString('en-US', { maximumFractionDigits: 6 });
}
