/**
 * The channels of the event bus: node:diagnostics_channel underneath, one channel an event.
 *
 * Event `a.b.c` is published on channel `a:b:c` (and `a:b` on `a.b`: every event has a channel of its own) as
 * `{ measurements, metadata }`, so other tools can subscribe to it and publish on it without this library. A span's end
 * may have `malformedKeys` beside these: what it was given that is no part of an event. Nothing a handler does reaches the
 * emitter: a handler that throws is detached, and that is an event itself.
 */
import { type Channel, type ChannelListener, channel } from 'node:diagnostics_channel';
import { inspect } from 'node:util';
import { ConfigError } from '../errors.js';
import type { Fields, Measurements, Metadata } from '../schema/event.js';

export type TelemetryHandler = (event: string, measurements: Measurements, metadata: Metadata) => void;

/** The same, which is told as well what else stands in a message than the two halves of an event. */
export type MessageHandler = (
  event: string,
  measurements: Measurements,
  metadata: Metadata,
  unread?: readonly string[],
) => void;

/** Emitted when a handler has thrown and was detached; metadata {handlerId, event, error}. */
export const HANDLER_FAILURE = 'telemetry.handler.failure';

/** What an event is called whose name is neither text nor a list of texts. */
const NAMELESS = '(unnamed)';
const NOTHING: Readonly<Record<string, unknown>> = Object.freeze({});
const HALVES: readonly string[] = ['measurements', 'metadata'];

interface Message {
  readonly measurements?: Measurements | undefined;
  readonly metadata?: Metadata | undefined;
  readonly malformedKeys?: readonly string[];
}

/** Of messages that are no objects, or are unreadable. */
const UNREADABLE: Required<Message> = {
  measurements: NOTHING,
  metadata: NOTHING,
  malformedKeys: ['message'],
};

/** Handlers attached with 'all' hear every event that has been executed by name at least once. */
interface Attachment {
  readonly handler: MessageHandler;
  readonly all: boolean;
  readonly listeners: Map<string, ChannelListener>;
}

const channels = new Map<string, Channel>();
const attachments = new Map<string, Attachment>();
// Most calls in a row are for the same event; comparing one name is cheaper than a look-up.
let lastName = '';
let lastChannel: Channel | undefined;
/** The message that `execute` publishes: it has the two halves and nothing else, which need not be found out again. */
let own: Message = NOTHING;

/** The channel name of an event: points and colons change places. */
function channelName(event: string): string {
  return event.replace(/[.:]/g, (mark) => (mark === '.' ? ':' : '.'));
}

function channelOf(event: string | readonly string[]): Channel {
  const name = nameOf(event);
  let found = channels.get(name);
  if (found === undefined) {
    found = channel(channelName(name));
    channels.set(name, found);
    for (const [id, attachment] of attachments) if (attachment.all) subscribe(id, attachment, name, found);
  }
  if (typeof event === 'string') {
    lastName = event;
    lastChannel = found;
  }
  return found;
}

/** The dot-joined name of an event given as text or as a list of texts. */
function nameOf(event: unknown): string {
  if (typeof event === 'string') return event;
  return isNames(event) ? event.join('.') : NAMELESS;
}

function isNames(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((part) => typeof part === 'string');
}

function subscribe(id: string, attachment: Attachment, event: string, to: Channel): void {
  if (attachment.listeners.has(event)) return;
  const listener: ChannelListener = (message) => {
    // Anybody may publish on the channel, anything, and what they publish is not the handler's fault.
    const parts = message === own ? own : partsOf(message);
    const { measurements = NOTHING, metadata = NOTHING, malformedKeys } = parts;
    try {
      if (malformedKeys === undefined) attachment.handler(event, measurements, metadata);
      else attachment.handler(event, measurements, metadata, malformedKeys);
    } catch (error) {
      detach(id);
      warnDetached(id, event, error);
      execute(HANDLER_FAILURE, NOTHING, { handlerId: id, event, error });
    }
  };
  attachment.listeners.set(event, listener);
  to.subscribe(listener);
}

/** The message, with what is no part of an event told by its keys. Never throws. */
function partsOf(message: unknown): Message {
  if (typeof message !== 'object' || message === null || Array.isArray(message)) return UNREADABLE;
  try {
    for (const key in message) if (key !== 'measurements' && key !== 'metadata') return otherParts(message);
    const { measurements, metadata } = message as Message;
    // A Map and its kin have no keys, and say nothing.
    if (measurements === undefined && metadata === undefined && isCollection(message)) return UNREADABLE;
    return message as Message;
  } catch {
    return UNREADABLE;
  }
}

function otherParts(message: object): Message {
  const { measurements, metadata, malformedKeys: told } = message as Message;
  const keys = Object.keys(message).filter((key) => !HALVES.includes(key));
  const malformedKeys = keys.flatMap((key) =>
    key === 'malformedKeys' && isNames(told) ? told : [`message.${key}`],
  );
  return { measurements, metadata, malformedKeys };
}

function isCollection(object: object): boolean {
  return Object.prototype.toString.call(object) !== '[object Object]';
}

/** A handler is detached for good, so each tells itself. */
function warnDetached(id: string, event: string, error: unknown): void {
  const why = inspect(error, { depth: 0, breakLength: Number.POSITIVE_INFINITY }).split('\n')[0];
  process.emitWarning(
    `the handler ${JSON.stringify(id)} threw on ${JSON.stringify(event)} and is detached: ${why}. It hears nothing from now on; attach it again once it is mended.`,
    { type: 'CrucibleWarning', code: 'CRUCIBLE_HANDLER_DETACHED' },
  );
}

/** Emits an event. Costs next to nothing when nobody listens, and never throws because of a listener. */
export function execute(event: string | readonly string[], measurements: Fields, metadata?: Fields): void {
  const target = event === lastName && lastChannel !== undefined ? lastChannel : channelOf(event);
  if (!target.hasSubscribers) return;
  own = { measurements: measurements as Measurements, metadata: metadata as Metadata | undefined };
  target.publish(own);
  own = NOTHING;
}

/** The same of what was given with things that are no part of an event. @param malformedKeys - where those stood */
export function executeMalformed(
  event: string,
  measurements: Measurements,
  metadata: Metadata,
  malformedKeys: readonly string[],
): void {
  if (malformedKeys.length === 0) execute(event, measurements, metadata);
  else channelOf(event).publish({ measurements, metadata, malformedKeys });
}

/** Whether anybody listens to an event. */
export function isHeard(event: string): boolean {
  return (channels.get(event) ?? channelOf(event)).hasSubscribers;
}

/**
 * Calls `handler` for each of the events, synchronously with the emitter. `'all'` means every event.
 * @throws ConfigError when the id is taken, or an argument is invalid
 */
export function attach(id: string, events: string | readonly string[], handler: MessageHandler): void {
  if (typeof id !== 'string' || id === '') throw new ConfigError('id', 'a non-empty string', id);
  if (attachments.has(id)) throw new ConfigError('id', 'an id that is not attached', id);
  if (typeof events !== 'string' && !isNames(events)) {
    throw new ConfigError('events', "'all', an event name or an array of them", events);
  }
  if (typeof handler !== 'function') throw new ConfigError('handler', 'a function', handler);
  const all = events === 'all';
  const attachment: Attachment = { handler, all, listeners: new Map() };
  attachments.set(id, attachment);
  const names = all ? channels.keys() : typeof events === 'string' ? [events] : events;
  for (const name of [...names]) subscribe(id, attachment, name, channelOf(name));
}

/** Has an attached handler hear a further event. */
export function attachAlso(id: string, event: string): void {
  const attachment = attachments.get(id);
  if (attachment !== undefined) subscribe(id, attachment, event, channelOf(event));
}

export function isAttached(id: string): boolean {
  return attachments.has(id);
}

/** Stops a handler. Unknown ids are ignored: a failing handler may have been detached already. */
export function detach(id: string): void {
  const attachment = attachments.get(id);
  if (attachment === undefined) return;
  attachments.delete(id);
  for (const [event, listener] of attachment.listeners) channelOf(event).unsubscribe(listener);
}
