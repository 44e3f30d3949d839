import { createStore, useStore } from '../state/store.ts';

interface Notice {
  readonly id: number;
  readonly kind: 'done' | 'problem';
  readonly text: string;
}

const notices = createStore<readonly Notice[]>([]);
const SHOWN_MS = 6000;
let nextId = 1;

/** A short word about what was done; problems stay until they are put away. */
export function notify(kind: Notice['kind'], text: string): void {
  const id = nextId;
  nextId += 1;
  notices.set([...notices.get(), { id, kind, text }]);
  if (kind === 'done') setTimeout(() => dismiss(id), SHOWN_MS);
}

function dismiss(id: number): void {
  notices.set(notices.get().filter((notice) => notice.id !== id));
}

/** Where the notices stand. Always there, so that a screen reader hears what is added. */
export function Notices() {
  const shown = useStore(notices);
  return (
    <div class="notices" role="status" aria-live="polite">
      {shown.map((notice) => (
        <p key={notice.id} class={`notice ${notice.kind}`}>
          <span>{notice.text}</span>
          <button
            type="button"
            class="icon-button"
            aria-label="Put away"
            onClick={() => dismiss(notice.id)}
          >
            ×
          </button>
        </p>
      ))}
    </div>
  );
}
