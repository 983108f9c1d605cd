/** The address keeps what is looked at: to reload, to go back, and to send to somebody. */

export type Query = Readonly<Record<string, string | readonly string[] | null | undefined>>;

const listeners = new Set<() => void>();

export function query(): URLSearchParams {
  return new URLSearchParams(location.search);
}

export function hrefOf(values: Query): string {
  const params = new URLSearchParams();
  for (const [key, value] of Object.entries(values)) {
    for (const text of Array.isArray(value) ? value : [value]) {
      if (text !== null && text !== undefined && text !== '') params.append(key, text as string);
    }
  }
  return params.size === 0 ? '/' : `/?${params}`;
}

/** Goes there: another page of the history. */
export function go(values: Query): void {
  history.pushState(null, '', hrefOf(values));
  for (const listener of listeners) listener();
}

/** Changes what the address says of the same page. */
export function note(changes: Query): void {
  const all: Record<string, string | readonly string[] | null | undefined> = {};
  for (const key of new Set(query().keys())) all[key] = query().getAll(key);
  history.replaceState(null, '', hrefOf({ ...all, ...changes }));
}

export function onGo(listener: () => void): void {
  listeners.add(listener);
  addEventListener('popstate', listener);
  document.addEventListener('click', (event) => {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey)
      return;
    const link = (event.target as Element).closest?.('a');
    if (link === null || link === undefined || link.target !== '' || link.hasAttribute('download')) return;
    const url = new URL(link.href);
    if (url.origin !== location.origin || url.pathname !== '/' || url.hash !== '') return;
    event.preventDefault();
    history.pushState(null, '', url.pathname + url.search);
    listener();
  });
}
