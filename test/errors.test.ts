import { MessageChannel, receiveMessageOnPort } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import {
  AnalysisError,
  ConfigError,
  deserializeError,
  ExportError,
  LayoutError,
  NotFoundError,
  StateError,
  StorageError,
  serializeError,
  TelemetryError,
  type WireError,
} from '../src/errors.js';

const systemError = (code: string) => Object.assign(new Error(`${code}: something, write`), { code });

/** What arrives on the other side of a port. */
function posted(wire: WireError): WireError {
  const { port1, port2 } = new MessageChannel();
  port1.postMessage(wire);
  const received = receiveMessageOnPort(port2)!.message;
  port1.close();
  return received;
}

describe('errors that cross a thread', () => {
  it.each<TelemetryError>([
    new TelemetryError('ERR_ANY', 'plain', { n: 1 }),
    new ConfigError('dir', 'a string', 5),
    new NotFoundError('experiment', 'x'),
    new StateError('ERR_LOCKED', 'taken', { pid: 1 }),
    new ExportError('ERR_EXPORT_PATH', 'bad', {}, { cause: new Error('inner') }),
    new AnalysisError('ERR_TOO_FEW_SAMPLES', 'few', { list: [1, 2] }),
    new StorageError('ERR_STORAGE_FULL', 'full', { path: 'p' }, { cause: systemError('ENOSPC') }),
    new LayoutError('version', 1, 2),
  ])('keep class, code, message, context, stack and cause: $name', (error) => {
    const copy = deserializeError(posted(serializeError(error)));
    expect(copy).toBeInstanceOf(error.constructor);
    expect(Object.getPrototypeOf(copy)).toBe(Object.getPrototypeOf(error));
    expect(copy).toMatchObject({
      name: error.name,
      code: error.code,
      message: error.message,
      context: error.context,
      stack: error.stack,
    });
    const cause = error.cause as (Error & { code?: string }) | undefined;
    if (cause === undefined) expect(copy.cause).toBeUndefined();
    else {
      expect(copy.cause).toBeInstanceOf(Error);
      expect(copy.cause).toMatchObject({ message: cause.message, code: cause.code ?? 'ERR_INTERNAL' });
    }
    // The same again: nothing is lost on a second way.
    expect(serializeError(copy)).toEqual(serializeError(error));
  });

  it('keep the class of a cause', () => {
    const error = new ExportError('ERR_NO_DATA', 'm', {}, { cause: new StateError('ERR_CLOSED', 'inner') });
    expect(deserializeError(posted(serializeError(error))).cause).toBeInstanceOf(StateError);
  });

  it('describe in their context what cannot be posted', () => {
    const error = new StateError('ERR_CLOSED', 'm', { handler: () => {}, size: 5n });
    expect(deserializeError(posted(serializeError(error))).context).toEqual({
      handler: 'a function',
      size: 5n,
    });
  });

  it('are TelemetryErrors even where something else was thrown', () => {
    const foreign = deserializeError(posted(serializeError(new TypeError('x is not a function'))));
    expect(Object.getPrototypeOf(foreign)).toBe(TelemetryError.prototype);
    expect(foreign).toMatchObject({ code: 'ERR_INTERNAL', message: 'TypeError: x is not a function' });
    for (const thrown of [undefined, null, 'text', 5, { a: 1 }, Symbol('s')]) {
      expect(deserializeError(posted(serializeError(thrown)))).toMatchObject({ code: 'ERR_INTERNAL' });
    }
  });

  it('end where causes run in a circle', () => {
    const error = new Error('a');
    error.cause = new Error('b', { cause: error });
    let depth = 0;
    for (
      let at: unknown = deserializeError(posted(serializeError(error)));
      at instanceof Error;
      at = at.cause
    ) {
      depth++;
    }
    expect(depth).toBe(9);
  });
});

it('says where it is explained', () => {
  const error = new ConfigError('dir', 'a folder', 1);
  expect(error.docs).toBe('crucible-telemetry/docs/troubleshooting.md#err_config_invalid');
  // It is no fact of its own: what is shown and sent of errors stays as it was.
  expect(Object.keys(error)).not.toContain('docs');
});
