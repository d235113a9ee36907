-- Runs once, when PostgreSQL makes its cluster. The database fengmian is there already.
CREATE DATABASE prefect OWNER fengmian;
