/** A horizontal bar of text, eight steps a column. */

const PARTS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/** @param share - of the width, from 0 to 1; what is not known has no bar */
export function bar(share: number | null, width: number): string {
  if (share === null || !Number.isFinite(share)) return '';
  const eighths = Math.round(Math.min(1, Math.max(0, share)) * width * 8);
  return '█'.repeat(Math.floor(eighths / 8)) + PARTS[eighths % 8];
}
