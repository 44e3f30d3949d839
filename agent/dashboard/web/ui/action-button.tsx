import { notify } from './notices.tsx';

interface ActionButtonProps {
  readonly name: string;
  readonly title: string;
  readonly danger?: boolean | undefined;
  /** Why it cannot be done now; null: it can. */
  readonly refused: string | null;
  readonly onAsk: () => void;
}

/** A button that asks for something. One that cannot be used stays in reach, and says why. */
export function ActionButton({ name, title, danger, refused, onAsk }: ActionButtonProps) {
  return (
    <button
      type="button"
      class={`button ${danger === true ? 'danger' : ''}`}
      aria-disabled={refused !== null}
      title={refused ?? title}
      onClick={() => {
        if (refused === null) onAsk();
        else notify('problem', refused);
      }}
    >
      {name}
    </button>
  );
}
