/** A frame: what one capture works in, and what is noted there of its event as it is written. */
import type { MsgpackWriter } from '../formats/msgpack/stored-value.js';
import type { Enriched } from '../schema/enrich.js';
import type { Json } from '../schema/event.js';
import { noteCut, noteMalformed } from '../schema/malformed.js';
import type { Part } from '../schema/spellings.js';
import type { EventPlan } from './event-plan.js';
import { writeFitting } from './long-event.js';

/** Working storage of one capture. A getter that captures in turn gets the next frame. */
export interface Frame {
  readonly enriched: Enriched;
  /** A value per declared column: NaN or 0 where there is none. */
  readonly declared: Float64Array;
  hasDeclared: boolean;
  /** Whether something is kept beside the event. */
  hasAside: boolean;
}

/** Notes what was lost of a value as it was written. */
export function lose(out: MsgpackWriter, frame: Frame, part: Part, key: string): void {
  if (out.isCut) noteCut(frame.enriched, `${part}.${key}`);
  else noteMalformed(frame.enriched, `${part}.${key}`);
  out.lossy = false;
  out.isCut = false;
}

/** Notes whether the event's name will be cut, before what is noted is written. */
export function noteName(out: MsgpackWriter, { enriched }: Frame, { event }: EventPlan): void {
  if (out.cuts(event)) noteCut(enriched, 'eventName');
}

/** As `writeFitting`; of what the tries note of the event, what the last one has. */
export function fitted(out: MsgpackWriter, enriched: Enriched, write: () => void): boolean {
  const { cut } = enriched;
  const noted = enriched.malformedKeys.length;
  const forget = () => {
    enriched.malformedKeys.length = noted;
    enriched.cut = cut;
  };
  const fits = writeFitting(out, () => {
    forget();
    write();
  });
  if (!fits) forget();
  return fits;
}

/** What readers do not find in the columns. */
export function asideOf({ malformedKeys, prompt, completion, totalTokens }: Enriched): Record<string, Json> {
  return {
    ...(malformedKeys.length > 0 && { malformedKeys }),
    ...(totalTokens >= 0 && {
      tokens: { prompt: Math.max(prompt, 0), completion: Math.max(completion, 0), total: totalTokens },
    }),
  };
}
