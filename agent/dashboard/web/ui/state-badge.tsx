interface BadgeProps {
  readonly kind: string;
  readonly text?: string;
}

/** A state as a word with a mark; never by colour alone. */
export function StateBadge({ kind, text }: BadgeProps) {
  return (
    <span class={`badge ${kind.toLowerCase().replaceAll('_', '-')}`}>
      <span class="mark" aria-hidden="true" />
      {text ?? kind.toLowerCase().replaceAll('_', ' ')}
    </span>
  );
}
