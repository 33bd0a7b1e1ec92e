-- Which stored response has which item in its output, for requests that point at items by their ids (`item_reference`).
-- Responses that are there already are not looked through: a large table would take longer than a statement may.
CREATE TABLE response_items (
  item TEXT NOT NULL, -- `msg_…`, `rs_…`, `fc_…`
  response TEXT NOT NULL,
  PRIMARY KEY (item, response)
) WITHOUT ROWID;
CREATE INDEX response_items_by_response ON response_items (response);

CREATE TRIGGER items_of_responses AFTER INSERT ON responses BEGIN
  INSERT OR IGNORE INTO response_items
  SELECT json_extract(value, '$.id'), NEW.id
  FROM json_each(iif(json_valid(NEW.response), NEW.response, '{}'), '$.output')
  WHERE iif(type = 'object', json_type(value, '$.id'), NULL) = 'text';
END;

CREATE TRIGGER items_of_deleted_responses AFTER DELETE ON responses BEGIN
  DELETE FROM response_items WHERE response = OLD.id;
END;
