/** Wilson's interval of a rate, 95 %; as stats' `wilsonInterval`, without its checks. */
const Z = 1.959963984540054;

export function wilson(successes: number, n: number): [number, number] {
  const p = successes / n;
  const z2 = (Z * Z) / n;
  const centre = (p + z2 / 2) / (1 + z2);
  const half = (Z / (1 + z2)) * Math.sqrt((p * (1 - p)) / n + z2 / (4 * n));
  return [successes === 0 ? 0 : Math.max(0, centre - half), successes === n ? 1 : Math.min(1, centre + half)];
}
