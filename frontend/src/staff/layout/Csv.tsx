import { Button, Text } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { client } from "../../api/generated/client.gen";
import { sentence } from "./Refusal";

/** Downloads a table as a file. A link could not: the token goes in a header. */
export function Csv({ url, query, name }: { url: string; query?: Record<string, unknown>; name: string }) {
  const download = useMutation({
    mutationFn: async () => {
      const { data } = await client.get<Blob, unknown, true>({
        url,
        query,
        parseAs: "blob",
        security: [{ scheme: "bearer", type: "http" }],
        throwOnError: true,
      });
      save(data as Blob, name);
    },
  });
  return (
    <>
      {download.error && (
        <Text size="xs" c="red" role="alert">
          {sentence(download.error)}
        </Text>
      )}
      <Button size="xs" variant="default" onClick={() => download.mutate()} loading={download.isPending}>
        Download CSV
      </Button>
    </>
  );
}

function save(data: Blob, name: string): void {
  const address = URL.createObjectURL(data);
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  URL.revokeObjectURL(address);
}
