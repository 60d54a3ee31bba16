import { Button } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useRef, useState } from "react";
import { useNavigate } from "react-router";
import { onceOnly, type Problem } from "../../api/client";
import { createEvent } from "../../api/generated";
import { Page } from "../layout/Page";
import { EventForm } from "./EventForm";
import { NEW, type Typed, toCreate } from "./form";

export function NewEventPage() {
  const navigate = useNavigate();
  const queries = useQueryClient();
  const [key, setKey] = useState(() => crypto.randomUUID());
  const published = useRef(false);
  const create = useMutation({
    mutationFn: async (typed: Typed) => {
      const { data } = await createEvent({
        body: toCreate(typed, published.current),
        headers: onceOnly(key),
        throwOnError: true,
      });
      return data;
    },
    onSuccess: async (event) => {
      await queries.invalidateQueries();
      navigate(`/staff/events/${event.id}`, { replace: true });
    },
    // What is sent next is something else.
    onError: (problem: Problem) => problem.passing || setKey(crypto.randomUUID()),
  });
  const sending = create.isPending || create.isSuccess;
  return (
    <Page title="New event" back={{ to: "/staff/events", label: "Events" }}>
      <EventForm
        initial={NEW}
        exists={false}
        problem={create.error}
        save={(typed) => sending || create.mutate(typed)}
        buttons={
          <>
            <Button type="submit" loading={sending} onClick={() => (published.current = false)}>
              Save as a draft
            </Button>
            <Button type="submit" variant="default" disabled={sending} onClick={() => (published.current = true)}>
              Put on sale now
            </Button>
          </>
        }
      />
    </Page>
  );
}
