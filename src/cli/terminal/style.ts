/** Colours and weights, or nothing at all: every style is a function from text to text. */

import type { TextStream } from './stream.js';

type Paint = (text: string) => string;

export interface Style {
  readonly bold: Paint;
  readonly dim: Paint;
  readonly red: Paint;
  readonly green: Paint;
  readonly yellow: Paint;
  readonly cyan: Paint;
}

const PLAIN: Paint = (text) => text;

export const NO_STYLE: Style = {
  bold: PLAIN,
  dim: PLAIN,
  red: PLAIN,
  green: PLAIN,
  yellow: PLAIN,
  cyan: PLAIN,
};

const ANSI_STYLE: Style = {
  bold: sgr(1, 22),
  dim: sgr(2, 22),
  red: sgr(31, 39),
  green: sgr(32, 39),
  yellow: sgr(33, 39),
  cyan: sgr(36, 39),
};

/**
 * Colour at a terminal only, and there not with NO_COLOR set to anything (no-color.org) or TERM=dumb.
 * FORCE_COLOR, other than 0, asks for it in a pipe too.
 */
export function styleFor(stream: TextStream, env: Readonly<Record<string, string | undefined>>): Style {
  if (env.NO_COLOR) return NO_STYLE;
  if (env.FORCE_COLOR) return env.FORCE_COLOR === '0' ? NO_STYLE : ANSI_STYLE;
  return stream.isTTY === true && env.TERM !== 'dumb' ? ANSI_STYLE : NO_STYLE;
}

function sgr(on: number, off: number): Paint {
  return (text) => (text === '' ? '' : `\u001b[${on}m${text}\u001b[${off}m`);
}
