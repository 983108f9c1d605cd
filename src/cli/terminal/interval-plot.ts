/** An estimate with its interval in one line of text, around no difference. */

/**
 * As `   ├──●──┤ │         `: the bar in the middle is 0, and the line reaches as far to either side.
 * @param width - odd, so that there is a middle
 * @returns blank where there is no interval
 */
export function intervalPlot(
  estimate: number | null,
  interval: readonly [number, number] | null,
  width: number,
): string {
  if (interval === null || estimate === null) return ' '.repeat(width);
  const [low, high] = interval;
  const reach = Math.max(Math.abs(low), Math.abs(high), Math.abs(estimate));
  if (!(reach > 0) || !Number.isFinite(reach)) return ' '.repeat(width);
  const middle = (width - 1) / 2;
  // The same to either side: of a half the farther mark.
  const at = (value: number) => middle + Math.sign(value) * Math.round((Math.abs(value) / reach) * middle);
  const marks: string[] = Array.from({ length: width }, (_, i) => (i === middle ? '│' : ' '));
  for (let i = at(low); i <= at(high); i++) marks[i] = i === middle ? '┼' : '─';
  marks[at(low)] = '├';
  marks[at(high)] = '┤';
  marks[at(estimate)] = '●';
  return marks.join('');
}
