import { flatten, quoted, type CommandNode } from './tree.ts';

/**
 * A bash completion for the program under each of these names. Where nothing is known (values of most
 * options, model files) bash completes file names.
 */
export function bashCompletion(tree: CommandNode, names: readonly string[]): string {
  const nodes = flatten(tree);
  return `# bash completion for ${names.join(' and ')}
_edgefit() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD - 1]} path='' words='' i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$path \${COMP_WORDS[i]}" in
      ${alternatives(nodes.filter(({ path }) => path.length > 0).map(key))})
        path+=" \${COMP_WORDS[i]}" ;;
    esac
  done
  case "$path $prev" in
${nodes.flatMap(valueCases).join('\n')}
  esac
  case "$path:$cur" in
${nodes.flatMap(wordCases).join('\n')}
  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}
complete -o default -F _edgefit ${names.join(' ')}
`;
}

function key({ path }: CommandNode): string {
  return path.map((name) => ` ${name}`).join('');
}

function alternatives(texts: readonly string[]): string {
  return texts.map(quoted).join(' | ');
}

/** After an option with a value: its choices, or else file names. */
function valueCases(node: CommandNode): string[] {
  const withValue = node.options.filter(({ takesValue }) => takesValue);
  return withValue.map(({ names, choices }) => {
    const pattern = alternatives(names.map((name) => `${key(node)} ${name}`));
    const offer =
      choices.length === 0
        ? ''
        : ` mapfile -t COMPREPLY < <(compgen -W ${quoted(choices.join(' '))} -- "$cur");`;
    return `    ${pattern})${offer} return ;;`;
  });
}

/** Options once a dash is typed, else commands below or what the arguments can be. */
function wordCases(node: CommandNode): string[] {
  const options = node.options.flatMap(({ names }) => names);
  const below = [...node.commands.map(({ path }) => path.at(-1) ?? ''), ...node.choices];
  const at = quoted(key(node));
  return [
    `    ${at}:-*) words=${quoted(options.join(' '))} ;;`,
    ...(below.length === 0 ? [] : [`    ${at}:*) words=${quoted(below.join(' '))} ;;`]),
  ];
}
