/** A feed of the server: everything once, and then what is new. A page that nobody sees is told nothing. */

export interface LiveHandlers {
  onState(data: never): void;
  onDelta(data: never): void;
  onTrouble(message: string | null): void;
}

/** Returns what ends it. */
export function follow(path: string, { onState, onDelta, onTrouble }: LiveHandlers): () => void {
  let source: EventSource | null = null;
  let lastId = '';
  const open = () => {
    const since = lastId === '' ? '' : `${path.includes('?') ? '&' : '?'}since=${encodeURIComponent(lastId)}`;
    source = new EventSource(path + since);
    const on = (name: string, handle: (data: never) => void) =>
      source?.addEventListener(name, (event) => {
        lastId = event.lastEventId;
        onTrouble(null);
        handle(JSON.parse(event.data) as never);
      });
    on('state', onState);
    on('delta', onDelta);
    source.addEventListener('trouble', (event) => {
      lastId = '';
      onTrouble((JSON.parse(event.data) as { message: string }).message);
    });
    source.addEventListener('error', () => {
      // It comes back by itself unless the server has refused it.
      if (source?.readyState === EventSource.CLOSED) {
        onTrouble('The server does not answer this. Trying again…');
        source = null;
        setTimeout(() => source === null && !ended && !document.hidden && open(), 2000);
      } else onTrouble('The connection is lost. Trying again…');
    });
  };
  let ended = false;
  const onVisible = () => {
    if (document.hidden) {
      source?.close();
      source = null;
    } else if (source === null) open();
  };
  document.addEventListener('visibilitychange', onVisible);
  onVisible();
  return () => {
    ended = true;
    document.removeEventListener('visibilitychange', onVisible);
    source?.close();
  };
}

/** @throws an Error with what the server says */
export async function ask<T>(path: string, signal?: AbortSignal): Promise<T> {
  const response = await fetch(path, signal === undefined ? {} : { signal });
  const body = (await response.json()) as T & { error?: { message: string } };
  if (!response.ok) throw new Error(body.error?.message ?? `the server answers ${response.status}`);
  return body;
}
