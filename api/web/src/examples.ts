// The operations of the demo, as they stood in examples/digits when the page was built: one tab
// for each `*.graphql`, in the order of their names, with the variables of the `*.json` beside it.
import type { GraphiQLProps } from 'graphiql';

type Tabs = NonNullable<GraphiQLProps['defaultTabs']>;

const operations = import.meta.glob<string>('../../../examples/digits/*.graphql', {
  query: '?raw',
  import: 'default',
  eager: true,
});
const variables = import.meta.glob<string>('../../../examples/digits/*.json', {
  query: '?raw',
  import: 'default',
  eager: true,
});

export const exampleTabs: Tabs = Object.entries(operations)
  .sort(([left], [right]) => left.localeCompare(right, 'en'))
  .map(([path, query]) => ({
    query,
    variables: variables[path.replace(/\.graphql$/, '.json')] ?? null,
  }));

// GraphiQL forgets the variables of the first tab where it has no tabs of an earlier visit.
export const firstVariables: string | undefined =
  localStorage.getItem('graphiql:tabState') === null
    ? (exampleTabs[0]?.variables ?? undefined)
    : undefined;
