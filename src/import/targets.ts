/** The fields that a map may fill, and what else their names may be. */

import { ConfigError } from '../errors.js';
import { isSpelled } from '../schema/spellings.js';
import { editDistance } from '../suggest.js';
import { DETECTED, normalName, scaleOf } from './defaults.js';
import type { ImportMap } from './mapping.js';

/** The record's own fields. Any other target is a key of the metadata. */
export const FIELDS: readonly string[] = Object.keys(DETECTED);

/** What says that a target is a key of the metadata, whatever it is called. */
const METADATA = 'metadata.';
/** Names that say which field is meant, and not in which unit. */
const WITHOUT_UNIT: readonly string[] = ['latency', 'duration', 'elapsed', 'response_time'];

/**
 * The map with the fields under their own names, and values in their units: `latency_s: 'x'` is
 * `latencyMs: '(x) * 1000'`. What is no map is left to who reads it.
 * @throws ConfigError for two targets that are one field, and for a name that is most likely a slip of one
 */
export function canonicalMap(map: ImportMap): ImportMap {
  if (typeof map !== 'object' || map === null || Array.isArray(map)) return map;
  const canonical: Record<string, string> = {};
  for (const [target, source] of Object.entries(map)) {
    const { field, scale } = fieldOf(target);
    if (Object.hasOwn(canonical, field)) {
      throw new ConfigError(`map.${target}`, `one target for ${field}, which the map has already`, source);
    }
    canonical[field] = scale === '' || typeof source !== 'string' ? source : `(${source})${scale}`;
  }
  return canonical;
}

/** The key of a target that stands for the metadata; null for a field of the record. */
export function metadataKeyOf(target: string): string | null {
  if (FIELDS.includes(target)) return null;
  return target.startsWith(METADATA) && target.length > METADATA.length
    ? target.slice(METADATA.length)
    : target;
}

function fieldOf(target: string): { readonly field: string; readonly scale: string } {
  if (FIELDS.includes(target)) return { field: target, scale: '' };
  const name = normalName(target);
  for (const field of FIELDS) {
    const scale = scaleOf(field, name);
    if (scale !== undefined) return { field, scale };
  }
  // Read from the metadata as it is, or said to belong there.
  if (target.startsWith(METADATA) || isSpelled('metadata', target)) return { field: target, scale: '' };
  if (WITHOUT_UNIT.includes(name)) {
    throw new ConfigError(
      `map.${target}`,
      `a name with its unit, such as latencyMs or latency_s, or ${METADATA}${target} for a key of the metadata`,
      target,
    );
  }
  const meant = slipOf(target);
  if (meant !== null) {
    throw new ConfigError(
      `map.${target}`,
      `a field (did you mean ${meant}? for a key of the metadata of that name, write ${METADATA}${target})`,
      target,
    );
  }
  return { field: target, scale: '' };
}

/** The field whose name the target has nearly: one letter off, or two of a long one. */
function slipOf(target: string): string | null {
  const word = letters(target);
  const off = word.length < 5 ? 0 : word.length < 8 ? 1 : 2;
  for (const [field, names] of Object.entries(DETECTED)) {
    for (const name of [field, ...Object.keys(names)]) {
      if (editDistance(word, letters(name)) <= off) return field;
    }
  }
  return null;
}

function letters(name: string): string {
  return normalName(name).replaceAll('_', '');
}
