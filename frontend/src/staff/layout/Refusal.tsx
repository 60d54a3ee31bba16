import { Alert, List } from "@mantine/core";
import { Problem } from "../../api/client";

/** Why the API did not do what was asked, in its own sentence. */
export function Refusal({ problem }: { problem: unknown }) {
  if (problem == null) return null;
  const sentence = problem instanceof Problem && problem.message ? problem.message : "The box office did not answer.";
  const fields = problem instanceof Problem ? Object.entries(problem.fields) : [];
  return (
    <Alert color="red" role="alert" title="This was not done">
      {fields.length ? (
        <List size="sm">
          {fields.map(([field, message]) => (
            <List.Item key={field}>
              {field}: {message}
            </List.Item>
          ))}
        </List>
      ) : (
        sentence
      )}
    </Alert>
  );
}
