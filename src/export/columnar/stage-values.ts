/** Values of events as the stages of columns hold them. */

import { FLAG_FALSE, FLAG_NULL, FLAG_TRUE, type Stage } from '../../formats/columns/stages.js';
import type { TextSet } from '../../formats/columns/text-set.js';
import type { Json } from '../../schema/event.js';

export function setValue(stage: Stage, row: number, value: Json): void {
  if (stage.kind === 'texts') stage.stage.set(row, textOf(value));
  else stage.stage.set(row, encoded(stage, value));
}

/** A value of the column's type as its stage holds it. @throws RangeError when it is of another type */
export function encoded(stage: Exclude<Stage, { kind: 'texts' }>, value: Json): number {
  switch (stage.kind) {
    case 'numbers':
      if (typeof value === 'number') return value;
      break;
    case 'flags':
      if (typeof value === 'boolean') return flagOf(value);
      break;
    case 'codes':
      if (typeof value === 'string') return codeOf(stage.texts, value);
  }
  throw changed();
}

/** @throws RangeError for a text that the plan did not see */
export function codeOf(texts: TextSet, text: string): number {
  const code = texts.find(text);
  if (code === 0) throw changed();
  return code;
}

/** @throws RangeError where the value is no text */
export function textOf(value: Json): string {
  if (typeof value !== 'string') throw changed();
  return value;
}

/** Dropping what the plan did not see would be worse: the file would look complete. */
export function changed(): RangeError {
  return new RangeError('the events changed between the two passes of an export');
}

export function flagOf(value: boolean | null): number {
  return value === null ? FLAG_NULL : value ? FLAG_TRUE : FLAG_FALSE;
}
