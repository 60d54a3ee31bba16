"""The native launcher: runs the whole of Boxoffice on one machine, without containers.

- install: what the system must bring (RabbitMQ, nginx)
- home: the state folder of a stack
- ports: a block of ports that no other stack has
- credentials: passwords and keys, made at the first start
- programs: one program to run, with its argv, environment, user and the signal that stops it
- postgres, rabbitmq, nginx: the three servers, their configuration and how to see that they are ready
- monitoring: Prometheus and Alertmanager, where they are installed
- services: what each service and the operator are told
- registrations: what is told to Stripe and to notification when they run
- stack: all processes, in the order in which they start
- supervisor: starts them, watches them and starts them again
- daemon: the supervisor as a background process
- control: what the command line and the daemon say to each other
- status: every address, credential and process id of a running stack
- ground: a PostgreSQL or a RabbitMQ for tests
"""
