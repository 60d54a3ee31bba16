import { Button, NumberInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { Link, useNavigate, useParams } from "react-router";
import type { Problem } from "../../api/client";
import { changeEvent, type EventRead } from "../../api/generated";
import { readEventOptions } from "../../api/generated/@tanstack/react-query.gen";
import { Loaded } from "../../layout/Loaded";
import { Page } from "../layout/Page";
import { EventForm } from "./EventForm";
import { type Typed, toChange, typedOf } from "./form";

export function EditEventPage() {
  const { eventId = "" } = useParams();
  const event = useQuery({ ...readEventOptions({ path: { event_id: eventId } }), refetchOnWindowFocus: false });
  return <Loaded query={event}>{(found) => <Editor event={found} />}</Loaded>;
}

function Editor({ event }: { event: EventRead }) {
  const navigate = useNavigate();
  const queries = useQueryClient();
  const [fullRefundDays, setFullRefundDays] = useState<string | number>("");
  const change = useMutation<unknown, Problem, Typed>({
    mutationFn: (typed) =>
      changeEvent({
        path: { event_id: event.id },
        body: { ...toChange(typed, event), ...(fullRefundDays !== "" && { full_refund_days: Number(fullRefundDays) }) },
        throwOnError: true,
      }),
    onSuccess: async () => {
      await queries.invalidateQueries();
      navigate(`/staff/events/${event.id}`, { replace: true });
    },
  });
  return (
    <Page title={`Edit ${event.name}`} back={{ to: `/staff/events/${event.id}`, label: event.name }}>
      {event.status !== "draft" && (
        <NumberInput
          label="Days in which every buyer may cancel and gets everything back"
          description="Left empty: 14 where the day or the venue changes, else none. Buyers of a moved event are told by mail."
          min={1}
          max={365}
          allowDecimal={false}
          maw={420}
          value={fullRefundDays}
          onChange={setFullRefundDays}
        />
      )}
      <EventForm
        initial={typedOf(event)}
        exists
        problem={change.error}
        save={(typed) => change.isPending || change.mutate(typed)}
        buttons={
          <>
            <Button type="submit" loading={change.isPending}>
              Save
            </Button>
            <Button variant="default" component={Link} to={`/staff/events/${event.id}`}>
              Back
            </Button>
          </>
        }
      />
    </Page>
  );
}
